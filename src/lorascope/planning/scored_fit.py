"""The modules with the largest total score whose training step fits into memory."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from math import inf

from lorascope.core.errors import MemoryPredictionError
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.candidates import grid
from lorascope.planning.fit import fit, fit_if_any, trades_of
from lorascope.planning.fitted import Fitted, OnTry, Predict, needed_bytes
from lorascope.planning.knapsack import Chosen
from lorascope.planning.levels import levels
from lorascope.planning.make_plan import make_plan
from lorascope.planning.preferences import Budget
from lorascope.planning.scored_items import Scored
from lorascope.planning.scored_memory import Place, choose_within, most_predictions

_MOST_OF_A_FIT = 20
"""Predictions of one fit over batch, checkpointing and quantization, about."""


def fit_scored(
    scored: Scored,
    chosen: Chosen,
    budget: Budget,
    setup: TrainingSetup,
    predict: Predict,
    on_try: OnTry | None,
) -> tuple[Fitted, Chosen]:
    """Return the plan and its choice of modules.

    The choice that the parameters allow is taken if any setup fits it, else the best that the
    leanest setup fits. As little of the setup is then traded as the choice needs.

    Args:
        scored: What may be chosen.
        chosen: The best choice if memory were no matter.
        budget: With `max_memory`.
        setup: The training step as asked.
        predict: Predicts a step.
        on_try: Told after each prediction.

    Raises:
        PlanError: Nothing fits.
        MemoryPredictionError: The step as asked cannot be predicted.
        MissingDependencyError: The choice needs a solver that is not installed.
    """
    request = scored.request_for(chosen.names)
    trades = tuple(t for t in trades_of(request, budget) if t not in ("rank", "roles"))
    budget = Budget(budget.max_memory, trade=trades)
    places = {
        m.path: Place(f"{m.role} {m.params}", m.layer or 0) for m in scored.inventory.adaptable
    }
    most = most_predictions(scored.items, places) + 2 * _MOST_OF_A_FIT
    known = _remembering(predict, on_try, most)
    fitted = fit_if_any(scored.inventory, request, budget, setup, known)
    if fitted is not None:
        return fitted, chosen
    lean = _leanest(scored, chosen, trades, setup, known)

    def needed(names: Collection[str]) -> int:
        plan = make_plan(scored.inventory, scored.request_for(names))
        return needed_bytes(known(plan, lean))

    limits = scored.room, budget.max_memory or 0
    fewer = choose_within(scored.items, limits, places, needed)
    if fewer is None:
        # The smallest choice does not fit either; `fit` says what is missing.
        fewer = Chosen(frozenset({min(scored.items, key=lambda item: item.costs[0]).name}))
    request = scored.request_for(fewer.names)
    return fit(scored.inventory, request, budget, setup, known), fewer


def _leanest(
    scored: Scored, chosen: Chosen, trades: tuple[str, ...], setup: TrainingSetup, predict: Predict
) -> TrainingSetup:
    """The setup that needs least of those that may be had."""
    level = levels(
        scored.inventory,
        scored.request_for(chosen.names),
        None,
        trade_rank=False,
        trade_roles=False,
    )[0]
    candidates = grid(level, setup, trades)
    plan = make_plan(scored.inventory, level.request)
    ends = product(
        range(len(candidates.quantizations)),
        (0,),
        (len(candidates.batches) - 1,),
        range(len(candidates.checkpointings)),
    )
    setups = (candidates.at(end).setup for end in ends)
    return min(setups, key=lambda each: _needed_or_never(predict, plan, each))


def _needed_or_never(predict: Predict, plan: Plan, setup: TrainingSetup) -> float:
    try:
        return needed_bytes(predict(plan, setup))
    except MemoryPredictionError:
        return inf


def _remembering(predict: Predict, on_try: OnTry | None, most: int) -> Predict:
    """A predictor that answers the same question once."""
    known: dict[object, Memory] = {}
    done = 0

    def ask(plan: Plan, setup: TrainingSetup) -> Memory:
        nonlocal done
        key = tuple((target.path, target.rank) for target in plan.targets), setup
        if key not in known:
            done += 1
            known[key] = predict(plan, setup)
            if on_try is not None:
                on_try(done, max(most, done))
        return known[key]

    return ask
