"""Whether a plan is for the model at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.errors import MemoryPredictionError, printable

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.plan import Plan

_LONGEST_NAME = 100


def check_targets(model: nn.Module, plan: Plan) -> None:
    """Check that the model has every module and parameter that the plan adapts.

    Raises:
        MemoryPredictionError: It lacks one, so the plan is for another model.
    """
    names = {name for name, _ in model.named_modules(remove_duplicate=False)}
    names.update(name for name, _ in model.named_parameters(remove_duplicate=False))
    for target in plan.targets:
        if target.path not in names:
            raise another_model(model, plan, f" {printable(target.path, _LONGEST_NAME)} is missing")


def is_own_size(model: nn.Module, plan: Plan) -> bool:
    """Whether the model has as many parameters as the one that the plan was made for."""
    return _size(model) == plan.model.total_params


def another_model(model: nn.Module, plan: Plan, sign: str = "") -> MemoryPredictionError:
    """Return the error for a plan of another model; `sign` says what shows it."""
    here = f"{type(model).__name__} of {_size(model):,} parameters"
    made_for = f"{plan.model.cls} of {plan.model.total_params:,}"
    return MemoryPredictionError(
        f"This plan is for another model: for {made_for}, not for this {here}"
        f"{f', where{sign}' if sign else ''}.",
        "Make a plan of this very model.",
    )


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
