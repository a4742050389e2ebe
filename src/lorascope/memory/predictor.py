"""Predict the memory of one training step of one plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from lorascope.build.confined import alone, quiet
from lorascope.core.errors import MemoryPredictionError
from lorascope.core.memory import Memory
from lorascope.memory.blocks import stacks_of
from lorascope.memory.extend import NotAlikeError, extended
from lorascope.memory.failures import step_of
from lorascope.memory.fake_step import FakeStep, run_step
from lorascope.memory.notes import notes_on
from lorascope.memory.optimizer_step import run_optimizer
from lorascope.memory.overhead import overhead_bytes
from lorascope.memory.own_plan import another_model, check_targets, is_own_size
from lorascope.memory.recorder import OutOfTimeError, Phase, Place
from lorascope.memory.sharding import Unit, shard
from lorascope.memory.timeline import Timeline
from lorascope.memory.training_copy import training_copy
from lorascope.memory.zones import left_out, zones_of
from lorascope.observe.alike import Repeats
from lorascope.observe.thin import thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorascope.core.plan import Plan
    from lorascope.core.training import TrainingSetup


class Predictor:
    """Predicts for one model. The model is kept, never run and never changed."""

    def __init__(self, model: nn.Module) -> None:
        """Take a model that was freshly built, usually on the meta device."""
        self._model = model
        self._blocks = tuple(path for stack in stacks_of(model) for path in stack)
        self._is_thinned = True
        """Whether leaving blocks out has not failed yet on this model."""

    @alone()
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
        check_targets(self._model, plan)
        _check_positions(plan, setup)
        zones = () if full or not self._is_thinned else zones_of(self._model, plan, setup)
        try:
            step = self._run(plan, setup, zones)
        except OutOfTimeError:
            raise
        except (MemoryPredictionError, NotAlikeError):
            if not zones:
                raise
            self._is_thinned, zones = False, ()
            step = self._run(plan, setup, zones)
        _check_trained(self._model, step, plan)
        timeline = _whole(step, setup)
        parts, place = timeline.peak()
        total = len(self._blocks)
        memory = Memory(
            setup=setup,
            parts=parts,
            peak_at=words_for(place, self._blocks),
            kept_bytes=timeline.kept(),
            overhead_bytes=overhead_bytes(setup),
            layers_run=total - sum(len(left_out(zone)) for zone in zones),
            layers_total=total,
            attention=step.attention,
            notes=notes_on(self._model, step, setup),
        )
        return shard(memory, *_units(step, total))

    def _run(self, plan: Plan, setup: TrainingSetup, zones: Sequence[Repeats]) -> FakeStep:
        groups = [
            (
                self._blocks[left_out(zone).start - 1],
                tuple(self._blocks[index] for index in left_out(zone)),
            )
            for zone in zones
        ]
        with quiet(), torch.random.fork_rng(devices=[]), step_of("running a copy"):
            copy = thinned(self._model, groups)
            step = run_step(training_copy(copy, plan, setup), setup)
        return extended(step, zones)


def _check_positions(plan: Plan, setup: TrainingSetup) -> None:
    """Fake tensors have no values, so no embedding would find a position out of range.

    Raises:
        MemoryPredictionError: The sequences are longer than the model's positions.
    """
    positions = plan.model.positions
    if positions is not None and setup.seq_len > positions:
        raise MemoryPredictionError(
            f"A sequence of {setup.seq_len:,} tokens is asked for; {plan.model.cls} has"
            f" {positions:,} positions.",
            f"Use a --seq-len of at most {positions:,}.",
        )


def _check_trained(model: nn.Module, step: FakeStep, plan: Plan) -> None:
    """PEFT must have made exactly the adapter that the plan counts.

    Raises:
        MemoryPredictionError: It has not, so nothing predicted would hold.
    """
    made = sum(weight.elements for weight in step.weights if weight.part == "adapter")
    if made != plan.trainable_params:
        if not is_own_size(model, plan):
            raise another_model(model, plan)
        raise MemoryPredictionError(
            f"The injected adapter has {made:,} trainable parameters, the plan"
            f" {plan.trainable_params:,}.",
            "Please report this model and plan as a bug.",
        )


def _whole(step: FakeStep, setup: TrainingSetup) -> Timeline:
    """Put the optimizer's state below the pass, and its step behind it."""
    optimizer = run_optimizer(step.trained, setup)
    start = dict(step.timeline.start)
    start["optimizer"] += optimizer.state_bytes
    return Timeline(start, (*step.timeline.changes, *optimizer.changes))


def _units(step: FakeStep, blocks: int) -> tuple[list[Unit], Unit]:
    sums = {index: [0, 0, 0] for index in (None, *range(blocks))}
    for weight in step.weights:
        unit = sums[weight.block]
        unit[weight.part == "adapter"] += weight.size
        unit[2] += weight.row
    units = {index: Unit(*unit) for index, unit in sums.items()}
    return [units[index] for index in range(blocks)], units[None]


def words_for(place: Place, blocks: Sequence[str]) -> str:
    """Return the words for `place`: `forward of model.layers.3.mlp`, `loss`, …"""
    if place.phase is Phase.OPTIMIZER:
        return "optimizer step"
    path = place.module
    if place.block is not None:
        path = ".".join(part for part in (blocks[place.block], place.module) if part)
    if place.is_loss and not path:
        return "loss" if place.phase is Phase.FORWARD else "backward of the loss"
    return f"{place.phase} of {path or 'the model'}"
