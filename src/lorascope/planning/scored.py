"""The plan with the largest total score that keeps to a budget."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product
from math import fsum, inf

from lorascope.core.errors import MemoryPredictionError, PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.memory import Memory
from lorascope.core.numbers import counted, plain
from lorascope.core.plan import Advice, Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.candidates import grid
from lorascope.planning.evidence import PRESET_ADVICE
from lorascope.planning.fit import fit, fit_if_any, params_limit, trades_of
from lorascope.planning.fitted import Fitted, OnTry, Predict, needed_bytes
from lorascope.planning.knapsack import Chosen, Item, best_choice
from lorascope.planning.levels import levels
from lorascope.planning.make_plan import make_plan
from lorascope.planning.preferences import Budget
from lorascope.planning.request import PlanRequest
from lorascope.planning.scored_memory import Place, choose_within, most_predictions
from lorascope.planning.scored_modules import module_scores

NAME = "scores"
"""What a plan is called whose modules scores have chosen."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """What the scores leave to choose from."""

    inventory: Inventory
    request: PlanRequest
    """Means all that may be chosen, at the ranks of the plan."""
    items: tuple[Item, ...]
    """Modules with a score above 0; the first cost is their trainable parameters."""
    room: int
    """Trainable parameters that the choice may have."""
    scored: int
    """Modules that have a score."""
    unmeant: int
    """Modules with a score above 0 that the request does not mean."""

    def request_for(self, names: Collection[str]) -> PlanRequest:
        """The request that means these modules alone."""
        return replace(self.request, only=frozenset(names))


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
    scored = _scored(inventory, request, scores, params_limit(request, budget))
    chosen = best_choice(scored.items, (scored.room, 0))
    if budget.max_memory is not None and setup is not None and predict is not None:
        return _within_memory(scored, chosen, budget, setup, predict, on_try)
    only = scored.request_for(chosen.names)
    plan = make_plan(inventory, only)
    if setup is not None and predict is not None:
        plan = replace(plan, memory=predict(plan, setup))
        if on_try is not None:
            on_try(1, 1)
    return _told(scored, Fitted(plan, only, setup), chosen)


def _check(budget: Budget) -> None:
    if "rank" in (budget.trade or ()):
        raise PlanError(
            "--trade rank and --scores are both given; expected one of them.",
            "With scores the ranks stay, and modules are left out instead.",
        )


def _scored(
    inventory: Inventory, request: PlanRequest, scores: Mapping[str, float], most: int | None
) -> _Scored:
    named = request.preset is not None or request.task is not None or request.roles
    request = replace(request, max_params=None, preset=request.preset if named else "all-linear")
    values = module_scores(inventory, scores)
    everything = make_plan(inventory, request)
    params = {t.path: t.params + _bias(inventory, request, t.path) for t in everything.targets}
    items = tuple(
        Item(path, values[path], (count, 0))
        for path, count in params.items()
        if values.get(path, 0) > 0
    )
    positive = [path for path, value in values.items() if value > 0]
    if not items:
        raise PlanError(
            f"None of the {counted(len(values), 'scored module')} may be adapted:"
            f" {len(positive):,} have a score above 0, and {_asked(request)} means none of these.",
            "A module whose score is 0 or less is never chosen.",
        )
    fixed = everything.trainable_params - sum(params.values())
    room = sum(params.values()) if most is None else most - fixed
    least = min(item.costs[0] for item in items)
    if most is not None and least > room:
        raise PlanError(
            f"--max-params {most:,}: the smallest scored module has {least + fixed:,} trainable"
            f" parameters at its rank, {least - room:,} too many.",
            "Lower the --rank.",
        )
    return _Scored(inventory, request, items, room, len(values), len(positive) - len(items))


def _asked(request: PlanRequest) -> str:
    return "--roles" if request.roles else f"preset {request.preset_name}"


def _bias(inventory: Inventory, request: PlanRequest, path: str) -> int:
    """Parameters of the bias that PEFT trains with a module's adapter."""
    if request.bias != "lora_only":
        return 0
    return sum(p.count for p in inventory.by_path[path].parameters if p.name == "bias")


def _within_memory(
    scored: _Scored,
    chosen: Chosen,
    budget: Budget,
    setup: TrainingSetup,
    predict: Predict,
    on_try: OnTry | None,
) -> Fitted:
    """All that the parameters allow if any setup fits it, else the best that the leanest fits."""
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
        return _told(scored, fitted, chosen)
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
    return _told(scored, fit(scored.inventory, request, budget, setup, known), fewer)


_MOST_OF_A_FIT = 20
"""Predictions of one fit over batch, checkpointing and quantization, about."""


def _leanest(
    scored: _Scored, chosen: Chosen, trades: tuple[str, ...], setup: TrainingSetup, predict: Predict
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


def _told(scored: _Scored, fitted: Fitted, chosen: Chosen) -> Fitted:
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
                f" {_asked(scored.request)}; --roles may name them."
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
