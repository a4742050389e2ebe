"""The verbs of lorascope as functions: from a reference, a module or an inventory to an answer.

What only a build needs is imported there, so that an answer from the cache stays quick.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.core.argument import named, quoted
from lorascope.core.errors import (
    INSTALL_TORCH,
    LorascopeError,
    MissingDependencyError,
    ModelReferenceError,
    PlanError,
    RemoteCodeError,
    SpecificationError,
    UnknownModelTypeError,
)
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.spec import LoraSpec
from lorascope.source.cache import Cache, cache_key
from lorascope.source.config_file import load_config_file, read_bounded
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.resolver import resolve

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import ModelInfo
    from lorascope.core.memory import Memory
    from lorascope.core.training import TrainingSetup
    from lorascope.matching.result import Match
    from lorascope.memory import Predictor
    from lorascope.planning import Budget, Fitted, PlanRequest
    from lorascope.planning.fitted import OnTry, Predict
    from lorascope.source.model_source import ModelSource


def inspect(
    model: str | os.PathLike[str] | nn.Module,
    *,
    task_type: str | None = None,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
    cache: bool = True,
    refresh: bool = False,
    observe: bool | None = None,
) -> Inventory:
    """List the modules of a model, with what each does and what LoRA costs there.

    Args:
        model: A Hub id (`owner/name`, optionally `@revision`), a directory, a `config.json`, a
            GGUF file, a transformers model type, a built-in example, or an `nn.Module`.
        task_type: PEFT task type that overrides the class the config names.
        revision: Hub revision; `@revision` in the reference says the same.
        offline: Use only what the Hub's local cache has.
        trust_remote_code: Run the code of the model's repository if its class needs that.
        cache: Answer from lorascope's cache of inventories, and fill it.
        refresh: Build anew even if the cache has an answer.
        observe: Run a weightless copy of the model, to see what its modules do. None: where it is
            built anyway and that is quick. False: do not; the cache may still know from earlier.

    Raises:
        ModelReferenceError: The reference names nothing that can be read.
        ModelConfigError: The config is malformed or contradicts itself.
        ModelBuildError: transformers cannot build the model.
        RemoteCodeError: Its class is code of its repository, and no checkpoint header is at hand.
        MissingDependencyError: torch or transformers is needed and not installed.

    The last two are raised even with headers at hand if `observe` is True: these cannot be run.
    """
    if not isinstance(model, (str, os.PathLike)):
        if not hasattr(model, "named_modules"):
            raise _no_model(model)
        from lorascope.observe.inspected import inspect_module

        return inspect_module(model, observe)
    source = resolve(os.fspath(model), offline=offline, revision=revision)
    if not cache:
        return _labelled(_built(source, task_type, trust_remote_code, observe), source)
    store = Cache.default()
    key = cache_key(source, task_type, trust_remote_code)
    found = None if refresh else store.load(key)
    if found is None and _missing_libraries():
        found = store.load_of_any_version(key)
    if found is not None and not (observe and found.observation is None):
        found = replace(found, built_with=replace(found.built_with, method="cache"))
    else:
        found = _built(source, task_type, trust_remote_code, observe)
        # A repository's code and headers may change under the same config.
        if found.built_with.method == "meta" and not found.model.is_remote_code:
            store.store(key, found)
    found = _labelled(found, source)
    return found if store.problem is None else _with_note(found, store.problem)


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
    from lorascope.planning import Budget, request_from
    from lorascope.planning.preferences import trades_from

    options.setdefault("peft_version", installed_peft())
    # Beside scores a number of parameters limits the choice of modules, and not the rank.
    max_params = options.pop("max_params", None) if scores is not None else None
    request = request_from(preset=preset, **options)
    budget = Budget(_bytes(max_memory), max_params, trades_from(trade))
    step = _setup(setup)
    read = None if scores is None else read_scores(scores)
    asks_memory = step is not None or budget.max_memory is not None or facts
    engine = predictor(model) if asks_memory else None
    known = _inventory(model)
    if engine is not None:
        step = _step(setup, known.model)
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
        setup=None if engine is None else _step(setup, inventory.model),
        predict=None if engine is None else predicting(engine),
        on_try=on_try,
    )
    plan, setup = fitted.plan, fitted.setup
    if not facts or engine is None or setup is None or plan.memory is None:
        return fitted
    from lorascope.memory.facts import facts_for

    found = facts_for(engine, inventory, fitted.request, plan, setup)
    return replace(fitted, plan=replace(plan, memory=replace(plan.memory, facts=found)))


def predict_memory(
    model: str | os.PathLike[str] | nn.Module,
    plan: Plan,
    setup: TrainingSetup | Mapping[str, Any] | None = None,
) -> Memory:
    """Predict the memory of one training step of a plan.

    Args:
        model: What `inspect` takes; a module is copied to the meta device and not touched.
        plan: A plan for this model.
        setup: The training step, as a `TrainingSetup` or a mapping of its fields.

    Raises:
        PlanError: The plan is none, or the setup holds a value that it does not take.
        MemoryPredictionError: The step cannot be predicted, or the plan is for another model.
        MissingDependencyError: torch, transformers or PEFT is not installed.
    """
    engine = predictor(model)
    if not isinstance(plan, Plan):
        raise PlanError(
            f"plan is {quoted(plan)}; expected what lorascope.plan returns.",
            "For example predict_memory(model, lorascope.plan(model)).",
        )
    return predicting(engine)(plan, _step(setup, plan.model))


def predicting(engine: Predictor) -> Predict:
    """Return what predicts with `engine` and notes sequences that the model was not made for."""
    from lorascope.core.seq_len import with_positions_noted

    def predict(plan: Plan, setup: TrainingSetup) -> Memory:
        return with_positions_noted(engine.predict(plan, setup), plan.model)

    return predict


def predictor(
    model: str | os.PathLike[str] | nn.Module | Inventory,
    *,
    task_type: str | None = None,
    revision: str | None = None,
    offline: bool = False,
    trust_remote_code: bool = False,
) -> Predictor:
    """Return what predicts the memory of a model's training steps; the model is built for it.

    Args:
        model: What `inspect` takes; a module is copied to the meta device and not touched.
        task_type: As `inspect` takes it, and so the next three.
        revision: Hub revision.
        offline: Use only what the Hub's local cache has.
        trust_remote_code: Run the code of the model's repository if its class needs that.

    Raises:
        PlanError: An inventory is given, which does not hold what runs.
        ModelBuildError: The model cannot be built, so that only its checkpoint's headers are known.
        MissingDependencyError: torch, transformers or PEFT is not installed.
    """
    if isinstance(model, Inventory):
        raise PlanError(
            "Memory cannot be predicted from an inventory, which does not hold what runs.",
            "Give the model's reference or an nn.Module instead.",
        )
    missing = [each for each in ("torch", "transformers", "peft") if not _is_installed(each)]
    if missing:
        raise MissingDependencyError(
            f"Predicting memory runs the model's own step on weightless tensors, which needs"
            f" {' and '.join(missing)}, not installed here.",
            INSTALL_TORCH,
        )
    from lorascope.memory import Predictor

    return Predictor(_model_on_meta(model, task_type, revision, offline, trust_remote_code))


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


def match(
    config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any,
    model: str | os.PathLike[str] | nn.Module | Inventory,
) -> Match:
    """Say what a LoRA configuration hits in a model, entry by entry, as PEFT would have it.

    Args:
        config: A `LoraSpec`, a `peft.LoraConfig`, a mapping of its fields, or the path of an
            `adapter_config.json` or of the directory that holds one.
        model: An inventory, or what `inspect` takes.

    Raises:
        SpecificationError: PEFT itself would refuse the configuration.
    """
    from lorascope.matching import match as select

    return select(_inventory(model), read_spec(config), peft_version=installed_peft())


def installed_peft() -> str:
    """Return the PEFT release whose behaviour answers follow: the installed, else the newest."""
    from lorascope.matching import NEWEST
    from lorascope.source.versions import installed_version

    return installed_version("peft") or NEWEST


def read_spec(config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any) -> LoraSpec:
    """Read a LoRA configuration in any of the forms that `match` takes."""
    if isinstance(config, LoraSpec):
        return config
    if isinstance(config, Mapping):
        return LoraSpec.from_dict(config)
    if isinstance(config, (str, os.PathLike)):
        path = Path(config)
        with contextlib.suppress(OSError):  # a name that the file system cannot hold
            path = path / ADAPTER_FILE if path.is_dir() else path
        return LoraSpec.from_dict(load_config_file(path), where=str(path))
    if hasattr(config, "to_dict"):
        return LoraSpec.from_dict(config.to_dict(), where=type(config).__name__)
    raise SpecificationError(
        f"A LoRA configuration cannot be read from {type(config).__name__}.",
        "Give a mapping, a peft.LoraConfig or the path of an adapter_config.json.",
    )


def _inventory(model: str | os.PathLike[str] | nn.Module | Inventory) -> Inventory:
    return model if isinstance(model, Inventory) else inspect(model)


def _missing_libraries() -> list[str]:
    return [name for name in ("torch", "transformers") if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _model_on_meta(
    model: str | os.PathLike[str] | nn.Module,
    task_type: str | None,
    revision: str | None,
    offline: bool,
    trust_remote_code: bool,
) -> nn.Module:
    if isinstance(model, (str, os.PathLike)):
        from lorascope.build import build_model

        source = resolve(os.fspath(model), offline=offline, revision=revision)
        try:
            return build_model(source, task_type=task_type, trust_remote_code=trust_remote_code)
        except (RemoteCodeError, UnknownModelTypeError) as error:
            if source.tensors() is None:
                raise
            raise type(error)(
                f"Memory is predicted by running the model's class. {error.what}",
                "A plan without memory needs no class: the checkpoint's headers are enough."
                f" {error.hint or ''}".strip(),
            ) from error
    if not hasattr(model, "named_modules"):
        raise _no_model(model)
    from lorascope.memory.own_model import own_model

    return own_model(model)


def _no_model(model: object) -> ModelReferenceError:
    return ModelReferenceError(
        f"A model cannot be read from {type(model).__name__}.",
        "Give a reference as a string or path, or an nn.Module.",
    )


def _bytes(amount: int | str | None) -> int | None:
    if not isinstance(amount, str):
        return amount
    from lorascope.core.numbers import parse_bytes

    try:
        return parse_bytes(amount)
    except ValueError as error:
        raise PlanError(f"{named('max_memory')}: {error}") from error


def _setup(setup: TrainingSetup | Mapping[str, Any] | None) -> TrainingSetup | None:
    from lorascope.core.training import setup_from

    return None if setup is None else setup_from(setup)


def _step(setup: TrainingSetup | Mapping[str, Any] | None, model: ModelInfo) -> TrainingSetup:
    """Return the training step asked for, its sequences within the model's positions."""
    from lorascope.core.seq_len import seq_len_within
    from lorascope.core.training import TrainingSetup

    step = _setup(setup)
    is_stated = isinstance(setup, TrainingSetup) or "seq_len" in (setup or {})
    asked = step.seq_len if step is not None and is_stated else None
    seq_len = seq_len_within(asked, model.positions, model.stated_positions)
    return replace(step or TrainingSetup(), seq_len=seq_len)


def _built(
    source: ModelSource, task_type: str | None, trust_remote_code: bool, observe: bool | None
) -> Inventory:
    """Build on the meta device, or read the checkpoint's headers where that cannot be done."""
    missing = _missing_libraries()
    if missing:
        return _from_headers(
            source,
            MissingDependencyError(
                f"Building {source.reference} needs {' and '.join(missing)}, not installed here.",
                INSTALL_TORCH,
            ),
            observe,
        )
    from lorascope.observe.inspected import inspect_source

    try:
        return inspect_source(source, task_type, trust_remote_code, observe)
    except (RemoteCodeError, UnknownModelTypeError) as error:
        return _from_headers(source, error, observe)


def _from_headers(source: ModelSource, reason: LorascopeError, observe: bool | None) -> Inventory:
    """Read the inventory off the checkpoint's headers, or raise why it could not be built."""
    if source.tensors() is None:
        raise reason
    if observe:
        raise type(reason)(
            f"To observe a model is to run it, which headers alone do not allow. {reason.what}",
            f"{reason.hint or ''} Without --observe (observe=None) the headers are enough.".strip(),
        )
    from lorascope.roles import assign
    from lorascope.source.checkpoint import inventory_from_tensors

    found = assign(inventory_from_tensors(source))
    remote = isinstance(reason, RemoteCodeError)
    found = replace(found, model=replace(found.model, is_remote_code=remote))
    return _with_note(found, f"Read from the checkpoint's headers: {reason.what}")


def _with_note(inventory: Inventory, note: str) -> Inventory:
    info = replace(inventory.model, notes=(note, *inventory.model.notes))
    return replace(inventory, model=info)


def _labelled(inventory: Inventory, source: ModelSource) -> Inventory:
    """Say of an inventory which reference it answers; the cache holds it without one."""
    info = replace(
        inventory.model,
        reference=source.reference,
        is_default_config=source.is_default_config,
        base_model=source.base_model,
        revision=source.revision,
        notes=(*source.notes, *inventory.model.notes),
    )
    return replace(inventory, model=info)
