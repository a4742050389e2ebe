"""A plan made to fit a budget, and the request that makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lorascope.core.fit import Fit
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.request import PlanRequest

Predict = Callable[[Plan, TrainingSetup], Memory]
"""Predicts the memory of one training step; raises `MemoryPredictionError` where it cannot."""
OnTry = Callable[[int, int], None]
"""Told after each prediction: how many were made, and how many there will be at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted(Fit):
    """The best plan within a budget, with the request that makes it again."""

    request: PlanRequest
    """What makes this plan: `make_plan(inventory, fitted.request)`."""


def needed_bytes(memory: Memory) -> int:
    """Return what a device has to have: the predicted peak, and the estimate of what is beyond it.

    A budget is the memory of a device, and what is outside PyTorch's own allocations (context,
    fragments, workspaces) takes its part of that.
    """
    return memory.peak_bytes + memory.overhead_bytes
