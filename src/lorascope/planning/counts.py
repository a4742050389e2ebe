"""What a plan covers of the base model's parameters."""

from __future__ import annotations

from collections.abc import Iterable

from lorascope.core.inventory import Module
from lorascope.core.roles import Kind


def covered_params(modules: Iterable[Module]) -> int:
    """Parameters of the weights under an adapter, each tensor once (biases are not adapted)."""
    sizes: dict[str, int] = {}
    for module in modules:
        if module.kind is Kind.EXPERT_PARAMETER:
            sizes[module.path] = module.params
            continue
        for parameter in module.parameters:
            if len(parameter.shape) > 1:
                sizes[parameter.tied_to or f"{module.path}.{parameter.name}"] = parameter.count
    return sum(sizes.values())
