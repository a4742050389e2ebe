"""No test of the command line touches the user's cache or asks the Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import builders
from lorascope.cli import load as load_module
from lorascope.core.inventory import Inventory


@pytest.fixture(autouse=True)
def _closed_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LORASCOPE_DEBUG", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[Inventory], None]:
    """Make every MODEL answer with this inventory."""

    def serve(inventory: Inventory) -> None:
        monkeypatch.setattr(load_module, "load", lambda options: inventory)

    return serve


@pytest.fixture
def llama(serve: Callable[[Inventory], None]) -> Inventory:
    """Every MODEL is the small Llama."""
    inventory = builders.llama(input_embedding="model.embed_tokens", output_embedding="lm_head")
    serve(inventory)
    return inventory
