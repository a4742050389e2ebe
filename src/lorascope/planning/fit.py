"""The best plan within the memory of a device.

The candidates are what was asked and all it becomes by the trades that are allowed. They are
ordered by what they give up, the dearest trade first (see `lorascope.planning.preferences`): a plan
that drops a role comes after every plan that drops none, one that quantizes after every one with
these roles that does not, and so on to gradient checkpointing, which costs nothing but time. The
first candidate that fits is the best plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lorascope.core.errors import PlanError
from lorascope.core.fit import Step
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice
from lorascope.core.training import TrainingSetup
from lorascope.planning.candidates import Candidate, Grid, grid
from lorascope.planning.first_fitting import first_fitting, most_questions
from lorascope.planning.fitted import Fitted, OnTry, Predict
from lorascope.planning.levels import Level, levels
from lorascope.planning.nothing_fits import MOST_CHANGES, refusal
from lorascope.planning.preferences import DEFAULT_TRADES, GROUNDS, TRADES, Budget
from lorascope.planning.request import PlanRequest
from lorascope.planning.steps import Change, changes, drops
from lorascope.planning.trials import Trials
from lorascope.planning.units import states_rank


def fit(
    inventory: Inventory,
    request: PlanRequest,
    budget: Budget,
    setup: TrainingSetup,
    predict: Predict,
    on_try: OnTry | None = None,
) -> Fitted:
    """Return the plan that gives up least and fits `budget.max_memory`.

    Nothing is ever raised beyond what was asked: no rank, no batch. With `max_params` alone the
    highest rank within it counts as asked.

    The answer is the one that trying every candidate in order gives, provided that a lower rank or
    a smaller batch never turns a step that fits into one that does not; whatever is returned was
    itself predicted to fit.

    Args:
        inventory: The model.
        request: What is asked.
        budget: With `max_memory`.
        setup: The training step as asked.
        predict: Predicts a step; the candidate asked first.
        on_try: Told after each prediction.

    Raises:
        PlanError: The request has no plan, options contradict each other, or nothing fits; then it
            says what is missing and which single change comes nearest.
        MemoryPredictionError: The step as asked cannot be predicted.
    """
    search = _Search.prepared(inventory, request, budget, setup, predict, on_try)
    found = search.first()
    if found is None:
        raise refusal(search.trials, search.levels)
    return found


def fit_if_any(
    inventory: Inventory,
    request: PlanRequest,
    budget: Budget,
    setup: TrainingSetup,
    predict: Predict,
) -> Fitted | None:
    """Return what `fit` does, and None where nothing fits."""
    return _Search.prepared(inventory, request, budget, setup, predict, None).first()


@dataclass(frozen=True, slots=True)
class _Search:
    """The candidates, and what is known of them so far."""

    trials: Trials
    grids: tuple[Grid, ...]
    levels: tuple[Level, ...]
    """With fewer and fewer roles, whether or not that is allowed."""

    @classmethod
    def prepared(
        cls,
        inventory: Inventory,
        request: PlanRequest,
        budget: Budget,
        setup: TrainingSetup,
        predict: Predict,
        on_try: OnTry | None,
    ) -> _Search:
        """Lay the candidates out; nothing is predicted yet."""
        if budget.max_memory is None:
            raise PlanError("--max-memory is missing; expected the memory to fit into.")
        trades = trades_of(request, budget)
        may_drop = "roles" in trades
        every = levels(
            inventory,
            request,
            params_limit(request, budget),
            trade_rank="rank" in trades,
            trade_roles=may_drop,
        )
        grids = tuple(grid(level, setup, trades) for level in (every if may_drop else every[:1]))
        asked = grids[0].at((0, 0, 0, 0))
        most = sum(most_questions(each.axes) for each in grids) + MOST_CHANGES
        trials = Trials(inventory, asked, budget.max_memory, predict, on_try, most)
        return cls(trials, grids, every)

    def first(self) -> Fitted | None:
        """The candidate that gives up least of those that fit."""
        for number, each in enumerate(self.grids):
            fits = self.trials.fitting(each)
            point = first_fitting(each.axes, fits, is_hopeful=number == 0)
            if point is not None:
                return _fitted(self.trials, each.at(point))
        return None


def trades_of(request: PlanRequest, budget: Budget) -> tuple[str, ...]:
    """Return what may be given up, the cheapest first.

    A rank that the request states is kept, unless the budget names the rank as something to trade;
    then it is the highest.
    """
    if budget.trade is not None:
        return tuple(each for each in TRADES if each in budget.trade)
    kept = ("rank",) if states_rank(request) else ()
    return tuple(each for each in DEFAULT_TRADES if each not in kept)


def params_limit(request: PlanRequest, budget: Budget) -> int | None:
    """Return the most trainable parameters, which the request or the budget may state.

    Raises:
        PlanError: They state different numbers.
    """
    if request.max_params is None or budget.max_params in (None, request.max_params):
        return budget.max_params if request.max_params is None else request.max_params
    raise PlanError(
        f"The request has max_params {request.max_params:,} and the budget {budget.max_params:,};"
        " expected one of them."
    )


def _fitted(trials: Trials, found: Candidate) -> Fitted:
    steps = tuple(_steps(trials, found))
    plan = trials.plan(found)
    grounds = tuple(step.advice for step in steps)
    return Fitted(
        plan=replace(plan, advice=(*grounds, *plan.advice)),
        request=found.level.at(found.unit),
        setup=found.setup,
        accumulation=found.setup.accumulation,
        steps=steps,
        tried=tuple(trials.tried),
    )


def _steps(trials: Trials, found: Candidate) -> Iterator[Step]:
    """What was given up: roles for the number of parameters, then the rest for memory."""
    asked = trials.asked
    for change in drops(asked, 0):
        ground = GROUNDS[change.ground]
        text = f"Not adapted, to keep to --max-params: {change.before}. {ground.text}"
        yield _step(change, None, replace(ground, text=text))
    for change in changes(asked, found):
        needed = None if change.reached is None else trials.needed(change.reached)
        yield _step(change, needed, GROUNDS[change.ground])


def _step(change: Change, needed: int | None, advice: Advice) -> Step:
    """What changed and what it needs stand in the step itself; its advice is the reason."""
    return Step(change.trade, change.before, change.after, needed, advice)
