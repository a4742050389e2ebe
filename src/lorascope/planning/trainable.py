"""Where LoRA would be refused or learn nothing."""

from __future__ import annotations

from lorascope.core.inventory import HAZARDS, Module

NEVER = frozenset({"forward_never_called", "not_affine", "state_space_kernel", "unsupported_class"})
"""Hazards for which a module is never chosen: PEFT refuses it, or it would learn nothing."""


def is_hazardous(module: Module) -> bool:
    """Whether a module is never chosen."""
    return not NEVER.isdisjoint(module.hazards)


def why_untrainable(module: Module) -> str | None:
    """Say why LoRA cannot train a module; None if it can."""
    hazard = next((each for each in module.hazards if each in NEVER), None)
    if hazard is None and not module.kind.adaptable:
        hazard = "unsupported_class"
    return None if hazard is None else HAZARDS[hazard]
