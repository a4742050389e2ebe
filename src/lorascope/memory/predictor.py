"""Predict the memory of one training step of one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from lorascope.core.memory import Memory
from lorascope.memory.fake_step import FakeStep, run_step
from lorascope.memory.optimizer_step import run_optimizer
from lorascope.memory.recorder import Phase, Place
from lorascope.memory.timeline import Timeline
from lorascope.memory.training_copy import training_copy

if TYPE_CHECKING:
    from lorascope.core.plan import Plan
    from lorascope.core.training import TrainingSetup


class Predictor:
    """Predicts for one model. The model is kept, never run and never changed."""

    def __init__(self, model: nn.Module) -> None:
        """Take a model that was freshly built, usually on the meta device."""
        self._model = model

    def predict(self, plan: Plan, setup: TrainingSetup, *, full: bool = False) -> Memory:
        """Return the memory of one training step, without facts.

        Args:
            plan: What is trained.
            setup: How.
            full: Run every block even where they are alike.

        Raises:
            MemoryPredictionError: The step of this model, plan and setup fails; the text says
                where and why.
        """
        del full
        step = run_step(training_copy(self._model, plan, setup), setup)
        timeline = _whole(step, setup)
        parts, place = timeline.peak()
        return Memory(
            setup=setup,
            parts=parts,
            peak_at=words_for(place, step.blocks),
            kept_bytes=timeline.kept(),
            overhead_bytes=0,
            layers_run=len(step.blocks),
            layers_total=len(step.blocks),
            notes=(),
        )


def _whole(step: FakeStep, setup: TrainingSetup) -> Timeline:
    """Put the optimizer's state below the pass, and its step behind it."""
    optimizer = run_optimizer(step.trained, setup)
    start = dict(step.timeline.start)
    start["optimizer"] += optimizer.state_bytes
    return Timeline(start, (*step.timeline.changes, *optimizer.changes))


def words_for(place: Place, blocks: tuple[str, ...]) -> str:
    """Return the words for `place`: `forward of model.layers.3.mlp`, `loss`, …"""
    if place.phase is Phase.OPTIMIZER:
        return "optimizer step"
    path = place.module
    if place.block is not None:
        path = ".".join(part for part in (blocks[place.block], place.module) if part)
    if place.is_loss and not path:
        return "loss" if place.phase is Phase.FORWARD else "backward of the loss"
    return f"{place.phase} of {path or 'the model'}"
