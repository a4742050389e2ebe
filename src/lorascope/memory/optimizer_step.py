"""Run the optimizer of a training step on fake tensors, everything followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lorascope.memory.failures import step_of
from lorascope.memory.optimizers import make_optimizer
from lorascope.memory.recorder import CUDA_BLOCK, Phase, Place, Recorder
from lorascope.memory.timeline import Change

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup
    from lorascope.memory.fake_step import Trained

_PLACE = Place(Phase.OPTIMIZER)
_FIRST_STEP = {"_local_scalar_dense": lambda _: 1.0}
"""Optimizers ask for the count of steps, to correct their first averages; zero has no answer."""


@dataclass(frozen=True, slots=True)
class OptimizerStep:
    """What an optimizer holds, and what it needs for a moment when its state exists already."""

    state_bytes: int
    changes: Sequence[Change]


def run_optimizer(trained: Sequence[Trained], setup: TrainingSetup) -> OptimizerStep:
    """Run two steps: the first makes the state, the second is the one that is followed.

    Raises:
        MemoryPredictionError: The optimizer fails on these weights.
    """
    if not trained:
        return OptimizerStep(0, ())
    recorder = Recorder(CUDA_BLOCK if setup.device == "cuda" else 1, _FIRST_STEP)
    recorder.place = _PLACE
    with FakeTensorMode(), torch.device("cpu"), step_of("the optimizer's step"):
        params = [nn.Parameter(torch.empty(each.shape, dtype=each.dtype)) for each in trained]
        optimizer = make_optimizer(setup, params)
        for param in params:
            param.grad = torch.empty_like(param)
            recorder.add(param)
            recorder.add(param.grad)
        given = len(recorder.recording.births)
        with recorder:
            optimizer.step()
        state = _alive(recorder) - set(range(given)) - _on_host(optimizer, recorder, setup)
        begin = len(recorder.recording.events)
        with recorder:
            optimizer.step()
        recorder.close()
    births = recorder.recording.births
    return OptimizerStep(
        sum(births[number].size for number in state),
        tuple(
            Change(births[number].size if is_birth else -births[number].size, "temporary", place)
            for number, is_birth, place in recorder.recording.events[begin:]
        ),
    )


def _alive(recorder: Recorder) -> set[int]:
    alive: set[int] = set()
    for number, is_birth, _ in recorder.recording.events:
        (alive.add if is_birth else alive.discard)(number)
    return alive


def _on_host(
    optimizer: torch.optim.Optimizer, recorder: Recorder, setup: TrainingSetup
) -> set[int]:
    """PyTorch keeps the count of steps in the host's memory unless the loop is fused."""
    if setup.device != "cuda" or optimizer.defaults.get("fused"):
        return set()
    steps = (state.get("step") for state in optimizer.state.values())
    numbers = (recorder.number_of(step) for step in steps if isinstance(step, torch.Tensor))
    return {number for number in numbers if number is not None}
