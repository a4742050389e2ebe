"""Run forward and backward of a training step on fake tensors, everything followed."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lorascope.build.confined import quiet
from lorascope.memory.accumulation import Accumulated
from lorascope.memory.batch import batch_for
from lorascope.memory.blocks import head_of, stacks_of
from lorascope.memory.cuda_kernels import cuda_kernels
from lorascope.memory.failures import step_of
from lorascope.memory.masks import without_padding
from lorascope.memory.mixed_precision import lists_of_cuda, mixed_precision
from lorascope.memory.places import places_followed
from lorascope.memory.recorder import CUDA_BLOCK, Birth, Phase, Place, Recorder
from lorascope.memory.timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup


@dataclass(frozen=True, slots=True)
class Weight:
    """One storage of weights or buffers."""

    part: str
    """`base` or `adapter`."""
    size: int
    """Bytes as the allocator counts them."""
    block: int | None
    """Index of the block that holds it; None outside of the blocks."""
    elements: int
    row: int
    """Bytes of one row along the first dimension."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One weight that a step changes."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    block: int | None
    """Index of the block that holds it."""
    accumulated: int = 0
    """Bytes of the gradient that earlier micro-batches left; 0 without accumulation."""


@dataclass(frozen=True, slots=True)
class FakeStep:
    """What a forward and backward pass showed."""

    timeline: Timeline
    blocks: tuple[str, ...]
    """Path of each block, in the model's order; places name blocks by their index here."""
    weights: tuple[Weight, ...]
    trained: tuple[Trained, ...]
    """Weights that got a gradient."""
    sized_by_values: frozenset[str]
    """Operators whose result was taken as large as it can be."""
    attention: str | None = None
    """The attention implementation of transformers that ran; None for a model with its own."""


def run_step(wrapped: nn.Module, setup: TrainingSetup) -> FakeStep:
    """Run one forward and backward pass of a training copy, which is used up.

    Raises:
        MemoryPredictionError: The pass fails.
    """
    model: Any = wrapped.get_base_model()  # type: ignore[operator]
    recorder = Recorder(CUDA_BLOCK if setup.device == "cuda" else 1)
    blocks = tuple(path for stack in stacks_of(model) for path in stack)
    numbers = {path: index for index, path in enumerate(blocks)}
    with _repeatable(), quiet(), without_padding(), FakeTensorMode(allow_non_fake_inputs=True):
        _make_fake(wrapped)
        batch = batch_for(model, setup)
        weights = {recorder.add(tensor): (path, tensor) for path, tensor in _tensors(model)}
        given: dict[int, str | None] = {
            number: _part_of(tensor) for number, (_, tensor) in weights.items()
        }
        given |= {
            recorder.add(tensor): "temporary"
            for tensor in batch.values()
            if isinstance(tensor, torch.Tensor)
        }
        accumulated = Accumulated(wrapped, recorder, setup)
        with places_followed(model, recorder, numbers, head_of(model)), recorder, _kernels(setup):
            with step_of("the forward pass"):
                loss = _forward(wrapped, batch, setup)
            recorder.recording.forward_end = len(recorder.recording.events)
            recorder.place = Place(Phase.BACKWARD, is_loss=True)
            with step_of("the backward pass"):
                torch.autograd.backward(loss)
        given |= accumulated.settle()
        gradients = frozenset(
            number
            for parameter in wrapped.parameters()
            if parameter.grad is not None
            and (number := recorder.number_of(parameter.grad)) is not None
        )
        recorder.close()
    births = recorder.recording.births
    return FakeStep(
        timeline_of(recorder.recording, given, gradients),
        blocks,
        tuple(
            Weight(
                _part_of(tensor),
                births[number].size,
                _block_of(path, numbers),
                tensor.numel(),
                _row(tensor),
            )
            for number, (path, tensor) in weights.items()
        ),
        tuple(_trained(model, numbers, accumulated, births)),
        frozenset(recorder.recording.sized_by_values),
        getattr(getattr(model, "config", None), "_attn_implementation", None),
    )


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Let nothing be freed at a moment that the garbage collector chooses."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _kernels(setup: TrainingSetup) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if setup.device == "cuda":
            stack.enter_context(cuda_kernels())
            if setup.autocast:
                stack.enter_context(lists_of_cuda())
        yield


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


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _part_of(tensor: torch.Tensor) -> str:
    return "adapter" if tensor.requires_grad else "base"


def _row(tensor: torch.Tensor) -> int:
    rows = tensor.shape[0] if tensor.dim() else 1
    return tensor.nbytes // max(rows, 1)


def _forward(wrapped: nn.Module, batch: dict[str, Any], setup: TrainingSetup) -> torch.Tensor:
    model: nn.Module = wrapped.get_base_model()  # type: ignore[operator]
    with mixed_precision(setup) as converted:
        outputs = wrapped(**batch)
    return _loss(converted(outputs), model)


def _loss(outputs: Any, model: nn.Module) -> torch.Tensor:
    """Keep of the outputs only the loss, as `Trainer.compute_loss` does.

    A model of one's own may also return an object of its own with a `loss`.
    """
    if isinstance(outputs, dict):
        loss = outputs["loss"]
    else:
        loss = outputs.loss if hasattr(outputs, "loss") else outputs[0]
    if not isinstance(loss, torch.Tensor) or loss.dim():
        raise TypeError(f"{type(model).__name__} returned no loss")
    return loss


def _trained(
    model: nn.Module, numbers: dict[str, int], accumulated: Accumulated, births: Sequence[Birth]
) -> Iterator[Trained]:
    for path, parameter in model.named_parameters():
        if parameter.grad is not None:
            number = accumulated.number_of(parameter)
            yield Trained(
                tuple(parameter.shape),
                parameter.dtype,
                _block_of(path, numbers),
                0 if number is None else births[number].size,
            )


def _block_of(path: str, numbers: dict[str, int]) -> int | None:
    parts = path.split(".")
    heads = (".".join(parts[:end]) for end in range(len(parts)))
    return next((numbers[head] for head in heads if head in numbers), None)
