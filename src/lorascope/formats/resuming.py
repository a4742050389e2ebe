"""Training that goes on with an adapter, whose own configuration then counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.recipe import Recipe, Tool
from lorascope.formats.forms import is_on

_KEYS: Mapping[Tool, tuple[str, ...]] = {
    Tool.AXOLOTL: ("lora_model_dir",),
    Tool.LLAMAFACTORY: ("adapter_name_or_path",),
    Tool.MS_SWIFT: ("resume_from_checkpoint", "adapters"),
}
"""Keys that name the adapter, the one that wins first.

Source: axolotl 0.19.0, `load_lora` in `loaders/adapter.py`; llamafactory 0.9.5,
`_setup_lora_tuning` in `model/adapter.py`; ms-swift 4.6.0, `prepare_model` in
`swift/pipelines/train/tuner.py`.
"""
_UNMERGED = ("quantization_bit", "use_kt", "use_unsloth")
"""Settings with which LLaMA-Factory resumes an adapter even if it is asked for a new one."""


def resumed(recipe: Recipe) -> tuple[str, str] | None:
    """Return the key and the adapter that training goes on with; None if it starts a new one."""
    options = recipe.options
    for key in _KEYS.get(recipe.tool, ()):
        adapter = _last(options.get(key))
        if adapter and not _is_merged(recipe.tool, options):
            return key, adapter
    return None


def _last(value: Any) -> str:
    """Return the last of the adapters named: those before it are merged into the model."""
    if isinstance(value, (list, tuple)):
        value = value[-1] if value else None
    return str(value).rpartition(",")[2].strip() if value else ""


def _is_merged(tool: Tool, options: Mapping[str, Any]) -> bool:
    """Whether LLaMA-Factory merges the adapter and trains a new one as the file says."""
    return (
        tool is Tool.LLAMAFACTORY
        and is_on(options.get("create_new_adapter"))
        and not any(options.get(name) not in (None, False, 0) for name in _UNMERGED)
    )
