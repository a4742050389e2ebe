"""Values for what a config leaves open (None) and a forward pass needs."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from lorascope.observe.inputs.facts import configs_within

EXPERTS_CHOSEN: Mapping[str, int] = {"top_k": 1, "num_experts_per_tok": 1}
"""Attribute of a module that chooses experts → what it is where the config leaves it out."""


def left_open(model: nn.Module) -> dict[str, int]:
    """Return the attributes of `EXPERTS_CHOSEN` that are None in a module, with their values."""
    return {
        name: value
        for name, value in EXPERTS_CHOSEN.items()
        if any(getattr(module, name, value) is None for module in model.modules())
    }


def fill_in(model: nn.Module, values: Mapping[str, int]) -> None:
    """Set fields of a copy, in its modules and in its configs, where they are None.

    Args:
        model: The copy, whose configs nothing else reads.
        values: Name of a field → its value.
    """
    configs = (config for _, config in configs_within(getattr(model, "config", None)))
    for holder in (*model.modules(), *configs):
        for name, value in values.items():
            if getattr(holder, name, value) is None:
                setattr(holder, name, value)
