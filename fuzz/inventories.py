"""Models that the inputs are checked against: made by hand, built in, and one of 60,000 modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from from_tests import builders

from lorascope.core.inventory import Inventory
from lorascope.source.inventory_codec import decode, encode

_HAND_MADE: Mapping[str, Callable[[], Inventory]] = {
    "llama": builders.llama,
    "observed": builders.observed,
    "mixture": builders.mixture,
    "multimodal": builders.multimodal,
    "wide": builders.wide,
}
_BUILT_IN = ("Phi-3-mini", "Gemma-3-4B", "Qwen3-30B-A3B", "Jamba")
WIDE = "wide"
"""The one of 60,000 modules."""


def write_all(directory: Path) -> None:
    """Write all inventories as files that a worker reads without torch."""
    from lorascope.api import inspect

    for name, make in _HAND_MADE.items():
        (directory / name).write_bytes(encode(builders.completed(make())))
    for name in _BUILT_IN:
        (directory / name).write_bytes(encode(inspect(name)))


def read_all(directory: Path) -> dict[str, Inventory]:
    """Read them back, by name in order."""
    return {path.name: decode(path.read_bytes()) for path in sorted(directory.iterdir())}
