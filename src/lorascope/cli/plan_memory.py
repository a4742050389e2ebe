"""From the options of `lorascope plan` to a training step, its budget and its prediction."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lorascope import api, planning
from lorascope.cli.plan_checks import asks_for_memory
from lorascope.cli.plan_options import STEP
from lorascope.cli.progress import working
from lorascope.core.seq_len import seq_len_within
from lorascope.core.training import TrainingSetup

if TYPE_CHECKING:
    from lorascope.core.inventory import Inventory
    from lorascope.core.plan import Plan
    from lorascope.memory import Predictor
    from lorascope.planning.fitted import OnTry


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """What the options ask of memory and budgets, read before the model is."""

    options: argparse.Namespace
    setup: TrainingSetup | None
    """The training step, its sequence length still to be held against the model; None if memory
    is not asked."""
    budget: planning.Budget
    scores: Mapping[str, float] | None

    def fit(self, inventory: Inventory, request: planning.PlanRequest) -> planning.Fitted:
        """Return the plan within the budget, with its memory if asked."""
        if self.setup is None:
            return api.fit(inventory, request, budget=self.budget, scores=self.scores)
        setup = self._setup_for(self.setup, inventory)
        with working(_BUILDING) as say:
            return api.fit(
                inventory,
                request,
                _predictor(self.options),
                setup=setup,
                budget=self.budget,
                scores=self.scores,
                facts=self.options.memory_facts,
                on_try=_counting(say),
            )

    def compare(self, inventory: Inventory, request: planning.PlanRequest) -> tuple[Plan, ...]:
        """Return all presets, each with its memory if asked."""
        if self.setup is None:
            return planning.compare(inventory, request)
        setup = self._setup_for(self.setup, inventory)
        with working(_BUILDING) as say:
            return planning.compare(
                inventory,
                request,
                budget=self.budget,
                setup=setup,
                predict=api.predicting(_predictor(self.options)),
                on_try=_counting(say),
            )

    def _setup_for(self, setup: TrainingSetup, inventory: Inventory) -> TrainingSetup:
        model = inventory.model
        seq_len = seq_len_within(self.options.seq_len, model.positions, model.stated_positions)
        return replace(setup, seq_len=seq_len)


_BUILDING = "building the model to predict its memory"


def memory_request(options: argparse.Namespace) -> MemoryRequest:
    """Read what the options ask of memory and budgets.

    Raises:
        PlanError: The options contradict each other, or the scores cannot be read.
    """
    trade = None if options.trade is None else tuple(options.trade)
    max_params = options.max_params if options.scores is not None else None
    return MemoryRequest(
        options=options,
        setup=_setup(options) if asks_for_memory(options) else None,
        budget=planning.Budget(options.max_memory, max_params, trade),
        scores=None if options.scores is None else api.read_scores(Path(options.scores)),
    )


def _setup(options: argparse.Namespace) -> TrainingSetup:
    given = {name: getattr(options, name) for name in STEP}
    return TrainingSetup(**{name: value for name, value in given.items() if value is not None})


def _predictor(options: argparse.Namespace) -> Predictor:
    return api.predictor(
        options.model,
        task_type=options.task_type,
        offline=options.offline,
        trust_remote_code=options.trust_remote_code,
    )


def _counting(say: Callable[[str], None]) -> OnTry:
    def told(made: int, most: int) -> None:
        say(f"predicting memory, {made} of at most {most} done")

    return told
