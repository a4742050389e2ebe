"""Where LoRA would be refused or learn nothing."""

from __future__ import annotations

from lorascope.core.inventory import HAZARDS, Module, is_observed

NEVER = frozenset(
    {
        "forward_never_called",
        "forward_bypassed_by_kernel",
        "not_affine",
        "state_space_kernel",
        "unsupported_class",
    }
)
"""Hazards for which a module is never chosen: PEFT refuses it, or it may learn nothing."""


def is_hazardous(module: Module) -> bool:
    """Whether a module is never chosen."""
    return not NEVER.isdisjoint(module.hazards)


def why_untrainable(module: Module) -> str | None:
    """Say why LoRA cannot train a module, and whether that was observed; None if it can."""
    found = [each for each in module.hazards if each in NEVER]
    if not found:
        return None if module.kind.adaptable else HAZARDS["unsupported_class"]
    seen = next((each for each in found if is_observed(each, module)), None)
    return HAZARDS[found[0]] if seen is None else f"{HAZARDS[seen]} (observed)"
