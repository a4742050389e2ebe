"""Run forward and backward of a training step on fake tensors, everything followed."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lorascope.memory.batch import batch_for
from lorascope.memory.blocks import head_of, stacks_of
from lorascope.memory.failures import step_of
from lorascope.memory.places import places_followed
from lorascope.memory.recorder import CUDA_BLOCK, Phase, Place, Recorder
from lorascope.memory.timeline import Timeline, timeline_of
from lorascope.memory.training_copy import quiet

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup


@dataclass(frozen=True, slots=True)
class Trained:
    """One weight that a step changes."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    block: int | None
    """Index of the block that holds it."""


@dataclass(frozen=True, slots=True)
class FakeStep:
    """What a forward and backward pass showed."""

    timeline: Timeline
    blocks: tuple[str, ...]
    """Path of each block, in the model's order; places name blocks by their index here."""
    trained: tuple[Trained, ...]
    """Weights that got a gradient."""
    sized_by_values: frozenset[str]
    """Operators whose result was taken as large as it can be."""


def run_step(wrapped: nn.Module, setup: TrainingSetup) -> FakeStep:
    """Run one forward and backward pass of a training copy, which is used up.

    Raises:
        MemoryPredictionError: The pass fails.
    """
    model: Any = wrapped.get_base_model()  # type: ignore[operator]
    recorder = Recorder(CUDA_BLOCK if setup.device == "cuda" else 1)
    blocks = tuple(path for stack in stacks_of(model) for path in stack)
    numbers = {path: index for index, path in enumerate(blocks)}
    with _repeatable(), quiet(), FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(wrapped)
        batch = batch_for(model, setup)
        weights = {recorder.add(tensor): part for tensor, part in _weights(wrapped)}
        weights |= {
            recorder.add(tensor): "temporary"
            for tensor in batch.values()
            if isinstance(tensor, torch.Tensor)
        }
        with places_followed(model, recorder, numbers, head_of(model)), recorder:
            with step_of("the forward pass"):
                loss = _loss(wrapped(**batch), model)
            recorder.recording.forward_end = len(recorder.recording.events)
            recorder.place = Place(Phase.BACKWARD, is_loss=True)
            with step_of("the backward pass"):
                torch.autograd.backward(loss)
        gradients = frozenset(
            number
            for parameter in wrapped.parameters()
            if parameter.grad is not None
            and (number := recorder.number_of(parameter.grad)) is not None
        )
        recorder.close()
    return FakeStep(
        timeline_of(recorder.recording, weights, gradients),
        blocks,
        tuple(_trained(model, numbers)),
        frozenset(recorder.recording.sized_by_values),
    )


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Leave the random state as it was, and free what only the collector would in one way."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        if was_enabled:
            gc.enable()


def _make_fake(model: nn.Module) -> None:
    """Replace every meta tensor by an empty fake one on the CPU; tied ones stay tied."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):  # noqa: SLF001 - no setter keeps the class
            for name, tensor in tensors.items():
                if tensor is None or not tensor.is_meta:
                    continue
                if id(tensor) not in made:
                    made[id(tensor)] = tensor, _fake_of(tensor)
                tensors[name] = made[id(tensor)][1]


def _fake_of(tensor: torch.Tensor) -> torch.Tensor:
    fake = torch.empty_strided(
        tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="cpu"
    )
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(fake, requires_grad=tensor.requires_grad)
    return fake


def _weights(model: nn.Module) -> Iterator[tuple[torch.Tensor, str]]:
    for parameter in model.parameters():
        yield parameter, "adapter" if parameter.requires_grad else "base"
    for buffer in model.buffers():
        yield buffer, "base"


def _loss(outputs: Any, model: nn.Module) -> torch.Tensor:
    """Keep of the outputs only the loss, as `Trainer.compute_loss` does."""
    loss = outputs["loss"] if isinstance(outputs, dict) else outputs[0]
    if not isinstance(loss, torch.Tensor) or loss.dim():
        raise TypeError(f"{type(model).__name__} returned no loss")
    return loss


def _trained(model: nn.Module, numbers: dict[str, int]) -> Iterator[Trained]:
    for path, parameter in model.named_parameters():
        if parameter.grad is not None:
            yield Trained(tuple(parameter.shape), parameter.dtype, _block_of(path, numbers))


def _block_of(path: str, numbers: dict[str, int]) -> int | None:
    parts = path.split(".")
    heads = (".".join(parts[:end]) for end in range(len(parts)))
    return next((numbers[head] for head in heads if head in numbers), None)
