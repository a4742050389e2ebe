"""Follow every storage that lives during a training step: born where, dead where, how large."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lorascope.core.errors import MemoryPredictionError
from lorascope.memory.answers import ANSWERS, SIZED_BY_VALUES

_DEVICE = torch.ops.prim.device.default
CUDA_BLOCK = 512
"""Bytes that the CUDA caching allocator rounds each request up to: `kMinBlockSize` in PyTorch's
c10/core/AllocatorConfig.h."""


SECONDS = 120.0
"""Time that one run is given."""


class OutOfTimeError(MemoryPredictionError):
    """The run was cut, because a loop over tokens or experts takes too long."""

    is_timeout = True


class Phase(StrEnum):
    """Which part of the step runs."""

    FORWARD = "forward"
    BACKWARD = "backward"
    OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the step something happens."""

    phase: Phase
    block: int | None = None
    """Index into the blocks that are followed; None outside of them."""
    module: str = ""
    """In a block: path below it; outside: the path in the model; empty for the whole."""
    is_loss: bool = False
    """From the head on, and in the backward pass until the head is done."""


@dataclass(slots=True)
class Birth:
    """One storage."""

    size: int
    """Bytes as the allocator counts them."""
    place: Place
    is_recomputed: bool
    """Made by a forward computation that is run again within the backward pass."""
    recomputation: int
    """Which one; counts up from 0."""


@dataclass(slots=True)
class Recording:
    """Everything that happened, in order."""

    births: list[Birth] = field(default_factory=list)
    """One for each storage; its index is the storage's number."""
    events: list[tuple[int, bool, Place]] = field(default_factory=list)
    """Number of a storage, whether it is born (or dies), and where."""
    marks: list[tuple[int, Phase, int]] = field(default_factory=list)
    """How many events there were when a block was entered, in which phase, and its index."""
    forward_end: int = 0
    """How many events the forward pass made."""
    recomputation_ends: dict[int, int] = field(default_factory=dict)
    """Number of a recomputation → how many events there were when it was done."""
    head_gradient: int | None = None
    """Number of the storage that holds the gradient of the head's input."""
    sized_by_values: set[str] = field(default_factory=set)
    """Operators whose result is as large as values say, which fake tensors do not have."""


class Recorder(TorchDispatchMode):
    """Notes births and deaths of the storages of all tensors that operators return."""

    def __init__(self, round_to: int, answers: Mapping[str, Callable[..., Any]] = ANSWERS) -> None:
        """Follow storages.

        Args:
            round_to: Each size is rounded up to a multiple of it, in bytes.
            answers: Operators that need values → what a tensor without any answers.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._answers = answers
        self._deadline = time.monotonic() + SECONDS
        self.recording = Recording()
        self.place = Place(Phase.FORWARD)
        self.depth = 0
        """How many of the modules that are followed are running."""
        self._round_to = round_to
        self._alive: dict[int, tuple[int, weakref.ref[Any]]] = {}
        self._is_recomputing = False
        self._recomputations = 0

    def add(self, tensor: torch.Tensor) -> int:
        """Note the storage of `tensor` unless it is known; return its number."""
        storage = tensor.untyped_storage()
        key = id(storage)
        known = self._alive.get(key)
        if known is not None:
            return known[0]
        number = len(self.recording.births)
        size = -(-storage.nbytes() // self._round_to) * self._round_to
        self.recording.births.append(
            Birth(size, self.place, self._is_recomputing, self._recomputations)
        )
        self.recording.events.append((number, True, self.place))
        self._alive[key] = (number, weakref.ref(storage, self._death_of(key, number)))
        return number

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """Return the number of the storage of `tensor`, or None if it was never noted."""
        known = self._alive.get(id(tensor.untyped_storage()))
        return None if known is None else known[0]

    def _death_of(self, key: int, number: int) -> Callable[[Any], None]:
        def died(_: Any) -> None:
            del self._alive[key]
            self.recording.events.append((number, False, self.place))

        return died

    def close(self) -> None:
        """Note no further deaths."""
        self._alive.clear()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here, and PyTorch's guard against it costs more than the recording.
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is _DEVICE and isinstance(args[0], FakeTensor):
            # Two of three calls ask this; the answer is at hand.
            return args[0].fake_device
        if time.monotonic() > self._deadline:
            raise OutOfTimeError(
                f"The training step was not done after {SECONDS:g} s on fake tensors.",
                "A loop over tokens or experts may be behind it: try a smaller --seq-len.",
            )
        if self.place.phase is Phase.BACKWARD:
            self._follow_recomputation()
        name = func.overloadpacket.__name__
        answer = self._answers.get(name)
        if answer is not None:
            if name in SIZED_BY_VALUES:
                self.recording.sized_by_values.add(name)
            result = answer(*args, **(kwargs or {}))
        else:
            result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.add(leaf)
        return result

    def _follow_recomputation(self) -> None:
        # The engine itself runs without gradients; only a forward computation asks for them, and
        # where that turns them off (a router may) it still runs inside some module.
        is_recomputing = torch.is_grad_enabled() or self.depth > 0
        if self._is_recomputing and not is_recomputing:
            ends = self.recording.recomputation_ends
            ends[self._recomputations] = len(self.recording.events)
            self._recomputations += 1
        self._is_recomputing = is_recomputing
