"""Trades that a training step has made already, so that there is nothing left to give up."""

from __future__ import annotations

from collections.abc import Mapping

from lorascope.core.errors import PlanError
from lorascope.core.plan import Advice
from lorascope.core.training import TrainingSetup
from lorascope.planning.preferences import Budget


def idle_trades(budget: Budget, setup: TrainingSetup) -> tuple[Advice, ...]:
    """Return what to say of each trade that the budget names and the setup has made already.

    Raises:
        PlanError: All that the budget names are such trades.
    """
    named = budget.trade or ()
    made = _made(setup)
    idle = [trade for trade in named if trade in made]
    if idle and len(idle) == len(named):
        raise PlanError(
            f"--trade {','.join(named)} leaves nothing to trade:"
            f" {' and '.join(made[trade] for trade in idle)} already.",
            "Name another trade, or leave --trade out.",
        )
    return tuple(
        Advice(f"--trade {trade} has nothing to give up: {made[trade]} already.") for trade in idle
    )


def _made(setup: TrainingSetup) -> Mapping[str, str]:
    """Which trades a setup has made, and how."""
    made: dict[str, str] = {}
    if setup.gradient_checkpointing:
        made["checkpointing"] = "gradient checkpointing is on"
    if setup.batch_size == 1:
        made["batch"] = "the batch is 1"
    if setup.quantization == "nf4":
        made["quantization"] = "the base model is nf4"
    return made
