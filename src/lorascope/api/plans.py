"""`lorascope.plan`: a preset, a budget or scores worked out for one model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.api.inspecting import inventory_for
from lorascope.api.libraries import installed_peft
from lorascope.api.prediction import predicting, predictor, step_for
from lorascope.core.argument import named
from lorascope.core.errors import LorascopeError, PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.source.config_file import read_bounded

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.training import TrainingSetup
    from lorascope.memory import Predictor
    from lorascope.planning import Budget, Fitted, PlanRequest
    from lorascope.planning.fitted import OnTry


def plan(
    model: str | os.PathLike[str] | nn.Module | Inventory,
    preset: str | None = None,
    *,
    setup: TrainingSetup | Mapping[str, Any] | None = None,
    max_memory: int | str | None = None,
    trade: Sequence[str] | str | None = None,
    scores: Mapping[str, float] | str | os.PathLike[str] | None = None,
    facts: bool = False,
    **options: Any,
) -> Plan:
    """Work a preset out for one model.

    Args:
        model: An inventory, or what `inspect` takes.
        preset: `qv`, `attention`, `extended`, `ffn`, `vod` or `all-linear`; None for `qv`, or for
            what the option `task` advises.
        setup: The training step whose memory is predicted (`plan.memory`), as a `TrainingSetup`
            or a mapping of its fields; None for no prediction. A mapping without `seq_len` gets
            2048, or as many as the model has positions.
        max_memory: Most memory of one device, as bytes or text such as `24GiB`; the plan and the
            setup are changed until the predicted step fits. Without a setup the default one holds.
        trade: What may be given up for that: some of `checkpointing`, `batch`, `rank`,
            `quantization`, `roles`, as a list or as text with commas; None for
            `lorascope.planning.DEFAULT_TRADES`.
        scores: Worth of adapting a module, by full name, end of a name, or role, or the path of a
            JSON file of them; the modules with the largest total within the budget are chosen.
        facts: Whether to predict as well what adding or dropping each role would do; for the
            default setup if none is given.
        options: Fields of `lorascope.planning.PlanRequest`: task, rank, alpha, dropout, bias,
            rslora, dora, init, roles, layers, exclude, towers, experts, only, max_params.

    Raises:
        PlanError: The model has none of the roles, an option is wrong, or nothing fits.
        MemoryPredictionError: The training step as asked cannot be predicted.
        MissingDependencyError: Memory was asked and torch, transformers or PEFT is missing.
    """
    from lorascope.core.training import setup_from
    from lorascope.planning import Budget, request_from
    from lorascope.planning.preferences import trades_from

    options.setdefault("peft_version", installed_peft())
    # Beside scores a number of parameters limits the choice of modules, and not the rank.
    max_params = options.pop("max_params", None) if scores is not None else None
    request = request_from(preset=preset, **options)
    budget = Budget(_bytes(max_memory), max_params, trades_from(trade))
    step = None if setup is None else setup_from(setup)
    read = None if scores is None else read_scores(scores)
    asks_memory = step is not None or budget.max_memory is not None or facts
    engine = predictor(model) if asks_memory else None
    known = inventory_for(model)
    if engine is not None:
        step = step_for(setup, known.model)
    return fit(known, request, engine, setup=step, budget=budget, scores=read, facts=facts).plan


def fit(
    inventory: Inventory,
    request: PlanRequest,
    engine: Predictor | None = None,
    *,
    setup: TrainingSetup | None = None,
    budget: Budget | None = None,
    scores: Mapping[str, float] | str | os.PathLike[str] | None = None,
    facts: bool = False,
    on_try: OnTry | None = None,
) -> Fitted:
    """Return the plan for a budget with its memory, and how it came to be.

    Args:
        inventory: The model's inventory.
        request: What is asked.
        engine: Predicts memory (see `predictor`); None if memory is not asked.
        setup: The training step that is predicted; None for the default one.
        budget: What the plan has to keep to.
        scores: As `plan` takes them.
        facts: Whether to predict as well what adding or dropping each role would do.
        on_try: Told after each prediction: how many were made, and how many there will be at most.

    Raises:
        PlanError: As `plan`.
        MemoryPredictionError: The training step as asked cannot be predicted.
        MissingDependencyError: The scores need a solver that is not installed.
    """
    from lorascope.planning import work_out

    fitted = work_out(
        inventory,
        request,
        budget=budget,
        scores=None if scores is None else read_scores(scores),
        setup=None if engine is None else step_for(setup, inventory.model),
        predict=None if engine is None else predicting(engine),
        on_try=on_try,
    )
    plan, setup = fitted.plan, fitted.setup
    if not facts or engine is None or setup is None or plan.memory is None:
        return fitted
    from lorascope.memory.facts import facts_for

    found = facts_for(engine, inventory, fitted.request, plan, setup)
    return replace(fitted, plan=replace(plan, memory=replace(plan.memory, facts=found)))


def read_scores(scores: Mapping[str, float] | str | os.PathLike[str]) -> Mapping[str, float]:
    """Read scores from a mapping or from the path of a JSON file.

    Raises:
        PlanError: It is neither, they cannot be read, or are no names with finite numbers.
    """
    from lorascope.planning.scores import LARGEST_FILE, check_scores, parse_scores

    if not isinstance(scores, (str, os.PathLike)):
        return check_scores(scores, "scores")
    path = Path(scores)
    try:
        content = read_bounded(path, LARGEST_FILE)
    except LorascopeError as error:
        raise PlanError(f"--scores: {error.what}", None) from error
    return parse_scores(content, str(path))


def _bytes(amount: int | str | None) -> int | None:
    if not isinstance(amount, str):
        return amount
    from lorascope.core.numbers import parse_bytes

    try:
        return parse_bytes(amount)
    except ValueError as error:
        raise PlanError(f"{named('max_memory')}: {error}") from error
