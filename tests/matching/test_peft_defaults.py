"""PEFT's table of default targets, read without importing PEFT."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TABLE

from lorascope.matching import peft_defaults
from lorascope.matching.peft_defaults import default_targets, installed_table


def test_the_table_is_peft_s_own() -> None:
    assert installed_table() == TABLE
    assert default_targets("llama") == ["q_proj", "v_proj"]
    assert default_targets("no_such_type") is None
    assert default_targets(None) is None


def test_neither_peft_nor_torch_is_imported() -> None:
    program = (
        "import sys; from lorascope.matching import default_targets; "
        "assert default_targets('gpt2') == ['c_attn']; "
        "print([name for name in ('peft', 'torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "source", [None, "", "TABLE = {}", "x = (", "NAME = dict(a=1)", "NAME = {'a': 1}"]
)
def test_another_layout_of_peft_gives_no_default(
    source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = None
    if source is not None:
        constants = tmp_path / "utils" / "constants.py"
        constants.parent.mkdir()
        constants.write_text(
            source.replace("NAME", "TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING")
        )
        spec = ModuleSpec("peft", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(peft_defaults, "find_spec", lambda name: spec)
    installed_table.cache_clear()
    try:
        assert default_targets("a") is None
    finally:
        installed_table.cache_clear()
