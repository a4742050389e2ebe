"""One way in for every kind of budget: none, parameters, memory, and scores under either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice
from lorascope.core.training import TrainingSetup
from lorascope.planning.fit import fit, params_limit
from lorascope.planning.fitted import Fitted, OnTry, Predict
from lorascope.planning.idle_trades import idle_trades
from lorascope.planning.make_plan import make_plan
from lorascope.planning.preferences import Budget
from lorascope.planning.request import PlanRequest
from lorascope.planning.scored import scored_plan


def work_out(
    inventory: Inventory,
    request: PlanRequest | None = None,
    *,
    budget: Budget | None = None,
    scores: Mapping[str, float] | None = None,
    setup: TrainingSetup | None = None,
    predict: Predict | None = None,
    on_try: OnTry | None = None,
) -> Fitted:
    """Return the plan that a request means, made to fit a budget, with its memory if asked.

    Args:
        inventory: The model.
        request: What is asked; the default preset if None, or beside scores every linear of the
            blocks.
        budget: What the plan has to keep to; None for nothing.
        scores: Worth of adapting a module by full name, end of a name, or role. If given, the
            modules with the largest total within the budget are chosen.
        setup: The training step whose memory is predicted; None if memory is not asked.
        predict: Predicts it; needed where a setup or a budget of memory is given.
        on_try: Told after each prediction.

    Raises:
        PlanError: As `make_plan`; or a score names nothing; or nothing fits, and then it says what
            is missing and which single change comes nearest.
        MemoryPredictionError: The training step as asked cannot be predicted.
        MissingDependencyError: The scores need a solver that is not installed.
    """
    request, budget = request or PlanRequest(), budget or Budget()
    if budget.max_memory is not None and (setup is None or predict is None):
        raise PlanError("--max-memory needs the model itself, whose training step is run.")
    idle = () if setup is None else idle_trades(budget, setup)
    if scores is not None:
        found = scored_plan(inventory, request, scores, budget, setup, predict, on_try)
        return _with_advice(found, idle)
    if budget.max_memory is not None and setup is not None and predict is not None:
        return _with_advice(fit(inventory, request, budget, setup, predict, on_try), idle)
    request = replace(request, max_params=params_limit(request, budget))
    plan = make_plan(inventory, request)
    if setup is None or predict is None:
        return Fitted(plan, setup, request=request)
    memory = predict(plan, setup)
    if on_try is not None:
        on_try(1, 1)
    return Fitted(replace(plan, memory=memory), setup, request=request)


def _with_advice(fitted: Fitted, advice: tuple[Advice, ...]) -> Fitted:
    plan = fitted.plan
    return replace(fitted, plan=replace(plan, advice=(*plan.advice, *advice))) if advice else fitted
