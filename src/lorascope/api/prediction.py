"""`lorascope.predict_memory`: the memory of one training step of a plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lorascope.api.inspecting import no_model
from lorascope.api.libraries import missing_of
from lorascope.core.argument import quoted
from lorascope.core.errors import (
    INSTALL_TORCH,
    MissingDependencyError,
    PlanError,
    RemoteCodeError,
    UnknownModelTypeError,
)
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.source.resolver import resolve

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import ModelInfo
    from lorascope.core.memory import Memory
    from lorascope.core.training import TrainingSetup
    from lorascope.memory import Predictor
    from lorascope.planning.fitted import Predict


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
    return predicting(engine)(plan, step_for(setup, plan.model))


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
    missing = missing_of("torch", "transformers", "peft")
    if missing:
        raise MissingDependencyError(
            f"Predicting memory runs the model's own step on weightless tensors, which needs"
            f" {' and '.join(missing)}, not installed here.",
            INSTALL_TORCH,
        )
    from lorascope.memory import Predictor

    return Predictor(_model_on_meta(model, task_type, revision, offline, trust_remote_code))


def step_for(setup: TrainingSetup | Mapping[str, Any] | None, model: ModelInfo) -> TrainingSetup:
    """Return the training step asked for, its sequences within the model's positions."""
    from lorascope.core.seq_len import seq_len_within
    from lorascope.core.training import TrainingSetup, setup_from

    step = None if setup is None else setup_from(setup)
    is_stated = isinstance(setup, TrainingSetup) or "seq_len" in (setup or {})
    asked = step.seq_len if step is not None and is_stated else None
    seq_len = seq_len_within(asked, model.positions, model.stated_positions)
    return replace(step or TrainingSetup(), seq_len=seq_len)


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
        raise no_model(model)
    from lorascope.memory.own_model import own_model

    return own_model(model)
