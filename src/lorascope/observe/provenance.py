"""Write down what a forward pass computes of what, operator by operator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lorascope.observe.deadline import Deadline
from lorascope.observe.flow import ADDS_FIRST, ATTENTION, GIVEN, PRODUCTS, Part, Read, Step

_CONVOLUTIONS = frozenset({"convolution", "_convolution"})
_LOOKUP = "embedding"
_MULTIPLIES = PRODUCTS | _CONVOLUTIONS | {_LOOKUP}
"""Operators that make a layer's output, given its weight."""


Identity = tuple[StorageWeakRef, int, int, int]
"""Storage, offset in it, number of elements, and how often it had been written to."""


class OutOfTimeError(Exception):
    """The forward pass took longer than it was given; what was seen until then still counts."""


class Provenance(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch is not typed here
    """While active, notes every operator on values that depend on the model's inputs."""

    def __init__(self, weights: Mapping[str, torch.Tensor], seconds: float) -> None:
        """Know the weights.

        Args:
            weights: Path of a layer → its weight.
            seconds: After so much computing the next operator raises `OutOfTimeError`.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._deadline = Deadline(seconds)
        self.steps: list[Step] = []
        self.active: list[str] = []
        """Paths of the modules whose forward is running, the innermost last."""
        self.read: set[str] = set()
        """Paths of the layers whose weight took part in an operator."""
        self.inputs: dict[str, Identity] = {}
        """Path of a layer → what its weight was first multiplied with."""
        self._values: dict[StorageWeakRef, int] = {}
        """Storage → number of the step that last wrote to it."""
        self._weights: dict[StorageWeakRef, tuple[str, ...]] = {}
        """Storage of a weight, or of what was made of weights only → the layers it belongs to."""
        for path, weight in weights.items():
            storage = storage_of(weight)
            # Tied weights are one storage; which of its layers reads it is asked at each product.
            self._weights[storage] = (*self._weights.get(storage, ()), path)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator, then note what it read and made."""
        if self._deadline.is_over:
            raise OutOfTimeError
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self._note(func.overloadpacket.__name__, tree_leaves((args, kwargs)), result)
        return result

    def give(self, tensors: Iterable[Any]) -> None:
        """Note that these are inputs of the model."""
        for tensor in tensors:
            if _is_number(tensor):
                self._read(tensor)

    def attend(
        self,
        inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
        output: torch.Tensor,
        module: str | None,
    ) -> None:
        """Note an attention.

        Args:
            inputs: Query, key and value.
            output: What it returned.
            module: Path of the module that called it.
        """
        reads = tuple(self._read(tensor) for tensor in inputs)
        self._write(Step(ATTENTION, reads, module=module), output)

    def _read(self, tensor: torch.Tensor) -> Read:
        """Return the value of `tensor`, which becomes an input of the model if it is unknown."""
        storage = storage_of(tensor)
        if storage not in self._values:
            self._write(Step(GIVEN), tensor)
        return Read(self._values[storage], part_of(tensor))

    def _note(self, name: str, arguments: Sequence[Any], result: Any) -> None:
        tensors = [leaf for leaf in arguments if isinstance(leaf, torch.Tensor)]
        if name in PRODUCTS:
            tensors = tensors[1:3] if name in ADDS_FIRST else tensors[:2]
        reads: list[Read] = []
        weights: list[tuple[torch.Tensor, tuple[str, ...]]] = []
        for tensor in tensors:
            if not _is_number(tensor):
                continue
            storage = storage_of(tensor)
            value = self._values.get(storage)
            if value is not None:
                reads.append(Read(value, part_of(tensor)))
            elif storage in self._weights:
                weights.append((tensor, self._weights[storage]))
        if len(weights) > 1 and name in _MULTIPLIES:
            # One may be a learned input of the other's module; else both are merged to a third.
            weights = [each for each in weights if self._is_of_running(each[1])] or weights
        if weights and (reads or (name in _MULTIPLIES and len(weights) == 1)):
            self._note_weights(name, weights, reads, tensors, result)
        elif reads:
            self._write(Step(name, tuple(reads), module=self._running()), result)
        elif weights:
            for output in _numbers(result):
                self._weights[storage_of(output)] = weights[0][1]

    def _note_weights(
        self,
        name: str,
        weights: Sequence[tuple[torch.Tensor, tuple[str, ...]]],
        reads: Sequence[Read],
        tensors: Sequence[torch.Tensor],
        result: Any,
    ) -> None:
        for _, paths in weights:
            if (owner := self._owner(paths)) is not None:
                self.read.add(owner)
        if name not in _MULTIPLIES:
            self._write(Step(name, tuple(reads), module=self._running()), result)
            return
        weight, paths = weights[-1]
        layer = self._owner(paths) or paths[0]
        mixes = name in _CONVOLUTIONS and any(size > 1 for size in weight.shape[2:])
        self._write(Step(name, tuple(reads), layer, mixes, self._running()), result)
        factor = next((tensor for tensor in tensors if tensor is not weight), None)
        if factor is not None:
            self.inputs.setdefault(layer, identity_of(factor))

    def _owner(self, paths: tuple[str, ...]) -> str | None:
        """Of several layers that share a weight, return the one whose forward is running.

        None if none of them is: then nothing tells which of them the weight was read for.
        """
        if len(paths) == 1:
            return paths[0]
        return next((path for path in paths if self._is_of_running((path,))), None)

    def _is_of_running(self, paths: tuple[str, ...]) -> bool:
        inside = f"{self._running()}."
        return any(f"{path}.".startswith(inside) for path in paths)

    def _running(self) -> str | None:
        return self.active[-1] if self.active else None

    def _write(self, step: Step, result: Any) -> None:
        number = len(self.steps)
        self.steps.append(step)
        for output in _numbers(result):
            self._values[storage_of(output)] = number


def storage_of(tensor: torch.Tensor) -> StorageWeakRef:
    """Return a key for the storage of `tensor`, which no later storage shares."""
    # The weak reference keeps the address of a freed storage from being given to a new one.
    return StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]  # as above


def identity_of(tensor: torch.Tensor) -> Identity:
    """Return a key that is equal for tensors of the very same bytes."""
    return (storage_of(tensor), int(tensor.storage_offset()), tensor.numel(), tensor._version)  # noqa: SLF001 - no other way


def part_of(tensor: torch.Tensor) -> Part | None:
    """Return which part of its storage `tensor` shows, or None if all of it."""
    if tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes():
        return None
    return (int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))


def _numbers(values: Any) -> Iterable[torch.Tensor]:
    return (leaf for leaf in tree_leaves(values) if _is_number(leaf))


def _is_number(value: Any) -> bool:
    """Tell what is computed with from indices and masks, which only say where."""
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())
