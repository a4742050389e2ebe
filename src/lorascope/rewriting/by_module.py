"""Linears that an adapter reaches through their weight, said as modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lorascope.core.adaptation import Change, Step
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.roles import Kind
from lorascope.rewriting.pairs import Content, Pair
from lorascope.rewriting.written_config import reaching_config
from lorascope.serving.engines import Engine

_PEFT = "peft"
_NEED_TARGETS = frozenset({"sglang"})
"""Engines that make room for what `target_modules` names alone. Source: SGLang 0.5.23,
`LoRAManager.init_lora_shapes` in `srt/lora/lora_manager.py`."""


def linears_by_module(
    content: Content, stated: Mapping[str, Any], model: Inventory, engine: Engine
) -> tuple[Content, Change | None]:
    """Let `target_modules` reach the linears whose weights `target_parameters` names.

    PEFT stores the same tensors for both and adds the same product, and the engines read no
    `target_parameters`. Where PEFT takes the names of the linears for those of experts, nothing is
    changed, but for an engine that needs them.

    Args:
        content: Named as `model` is.
        stated: Fields of the trained adapter.
        model: The model that is served.
        engine: Which engine.
    """
    if engine.name == _PEFT:
        return content, None
    paths: list[str] = []
    pairs: list[Pair] = []
    for pair in content.pairs:
        holder, _, name = pair.path.rpartition(".")
        module = model.by_path.get(holder)
        if not pair.is_parameter or name != "weight" or module is None:
            pairs.append(pair)
        elif module.kind is Kind.LINEAR:
            paths.append(holder)
            pairs.append(replace(pair, path=holder, is_parameter=False))
        else:
            pairs.append(pair)
    said = replace(content, pairs=tuple(pairs))
    needed = engine.name in _NEED_TARGETS
    if not paths or not (needed or reaching_config(stated, said, model)):
        return content, None
    text = f"{counted(len(paths), 'weight')} of linears said as target_modules."
    return said, Change(Step.CONFIGURED, text, tuple(paths))
