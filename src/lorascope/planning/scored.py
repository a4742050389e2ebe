"""The plan with the largest total score that keeps to a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import fsum

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted, plain
from lorascope.core.plan import Advice
from lorascope.core.training import TrainingSetup
from lorascope.planning.evidence import PRESET_ADVICE
from lorascope.planning.fit import params_limit
from lorascope.planning.fitted import Fitted, OnTry, Predict
from lorascope.planning.knapsack import Chosen, best_choice
from lorascope.planning.lacking import asked_by
from lorascope.planning.make_plan import make_plan
from lorascope.planning.preferences import Budget
from lorascope.planning.request import PlanRequest
from lorascope.planning.scored_fit import fit_scored
from lorascope.planning.scored_items import Scored, scored_items

NAME = "scores"
"""What a plan is called whose modules scores have chosen."""


def scored_plan(
    inventory: Inventory,
    request: PlanRequest,
    scores: Mapping[str, float],
    budget: Budget,
    setup: TrainingSetup | None = None,
    predict: Predict | None = None,
    on_try: OnTry | None = None,
) -> Fitted:
    """Return the plan of the modules with the largest total score.

    The modules to choose from are those that the request means: every linear of the blocks where
    it names no preset, task or roles. Each gets the rank that it has in the plan of all of them.
    A module whose score is 0 or less, or that has none, is never chosen.

    Under `max_memory` the total is as large as the cheapest setup that may be traded allows
    (checkpointing, batch, quantization); then as little of the setup is traded as the chosen
    modules need. Memory is no sum over modules, so the choice under it is made with an estimate
    of what each takes, and is held against predictions; with six modules or fewer to choose from,
    every choice is tried in order of its score.

    Raises:
        PlanError: A score names nothing, none is above 0, or nothing fits.
        MissingDependencyError: The choice needs a solver that is not installed.
        MemoryPredictionError: The step as asked cannot be predicted.
    """
    _check(budget)
    scored = scored_items(inventory, request, scores, params_limit(request, budget))
    chosen = best_choice(scored.items, (scored.room, 0))
    if budget.max_memory is not None and setup is not None and predict is not None:
        fitted, chosen = fit_scored(scored, chosen, budget, setup, predict, on_try)
        return _told(scored, fitted, chosen)
    only = scored.request_for(chosen.names)
    plan = make_plan(inventory, only)
    if setup is not None and predict is not None:
        plan = replace(plan, memory=predict(plan, setup))
        if on_try is not None:
            on_try(1, 1)
    return _told(scored, Fitted(plan, setup, request=only), chosen)


def _check(budget: Budget) -> None:
    if "rank" in (budget.trade or ()):
        raise PlanError(
            "--trade rank and --scores are both given; expected one of them.",
            "With scores the ranks stay, and modules are left out instead.",
        )


def _told(scored: Scored, fitted: Fitted, chosen: Chosen) -> Fitted:
    """The plan under its own name, with what the scores came to."""
    value = {item.name: item.score for item in scored.items}
    total = fsum(value[name] for name in chosen.names)
    told = [
        Advice(
            f"{len(chosen.names):,} of {counted(scored.scored, 'scored module')}: a total score of"
            f" {plain(total)} out of {plain(fsum(value.values()))}."
        )
    ]
    if scored.unmeant:
        told.append(
            Advice(
                f"{counted(scored.unmeant, 'module')} with a score above 0 cannot be adapted or"
                f" {'is' if scored.unmeant == 1 else 'are'} not meant by"
                f" {asked_by(scored.request)}; --roles may name them."
            )
        )
    if not chosen.is_proven:
        told.append(
            Advice(
                "Memory is no sum over modules here: this choice fits, and a better one may too."
                if fitted.plan.memory is not None
                else "The solver's time ran out: a better choice may exist."
            )
        )
    of_preset = PRESET_ADVICE.get(fitted.request.preset_name, ())
    kept = (each for each in fitted.plan.advice if each not in of_preset)
    plan = replace(fitted.plan, preset=NAME, advice=(*told, *kept))
    return replace(fitted, plan=plan, score=total)
