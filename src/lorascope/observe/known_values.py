"""Run a model on meta weights while everything that no weight went into keeps its values."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from lorascope.observe.answers import ASKS_FOR_VALUES, places, pretended
from lorascope.observe.deadline import Deadline
from lorascope.observe.known_forms import KnownForms
from lorascope.observe.real_memory import RealMemory

MOST_KNOWN = 2**24
"""Elements of the largest tensor that is made with values though the meta device was asked for."""

_NO_CHECKS = "TRANSFORMERS_DISABLE_TORCH_CHECK"
_META = torch.device("meta")
_INDEXED = frozenset({"index", "index_put", "index_put_"})
_MASKS = frozenset({torch.bool, torch.uint8})


class TooSlowError(Exception):
    """What ran took longer than it was given."""


class KnownValues(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch is not typed here
    """While active, tensors on the CPU have their values and those on meta have none.

    Token ids, masks, positions and image grids are small and come from no weight: they lie on the
    CPU, so that loops over them, counts of them and indexing by them are what they would be.
    Whatever a weight goes into is on meta and has a shape only. Where both meet, the result is on
    meta. A known tensor that an unknown one is written into has no values from then on.

    What is made with values is bounded in memory (`TooLargeError`, see `real_memory`).
    """

    def __init__(self, seconds: float = math.inf) -> None:
        """Begin.

        Args:
            seconds: Computing time after which the next operator raises `TooSlowError`.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._deadline = Deadline(seconds)
        self._memory = RealMemory()
        self._forms = KnownForms()
        self._stale: dict[int, torch.UntypedStorage] = {}
        """Storages on the CPU whose values no longer hold; kept so that no address is reused."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the operator on what is known, or else for its shape only."""
        if self._deadline.is_over:
            raise TooSlowError("it takes too long")
        kwargs = kwargs or {}
        if any(self._is_unknown(tensor) for tensor in _tensors((*args, *kwargs.values()))):
            return self._unknown(func, args, kwargs)
        return self._known(func, args, kwargs)

    def _is_unknown(self, tensor: torch.Tensor) -> bool:
        return tensor.is_meta or self.is_stale(tensor)

    def is_stale(self, tensor: torch.Tensor) -> bool:
        """Return whether an unknown value was written into this known tensor."""
        if not self._stale or tensor.is_meta:
            return False
        return tensor.untyped_storage()._cdata in self._stale  # noqa: SLF001 - its address

    def _unknown(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = func.overloadpacket.__name__
        if name in ASKS_FOR_VALUES:
            return ASKS_FOR_VALUES[name](*args, **kwargs)
        written = tuple(_written(func, args, kwargs))
        if any(not tensor.is_meta for tensor in written):
            for tensor in written:
                if not tensor.is_meta:
                    storage = tensor.untyped_storage()
                    self._stale[storage._cdata] = storage  # noqa: SLF001 - its address
            return written[0] if len(written) == 1 else written
        if func.is_view and not args[0].is_meta:
            return func(*args, **kwargs)
        if name in _INDEXED:
            if name != "index" and any(self._is_unknown_mask(each) for each in args[1]):
                # How many values such a mask takes is not known; the shape of the result is.
                return args[0] if written else args[0].clone()
            args = (args[0], [*self._indices(args[1])], *args[2:])
        return self._shape_only(func, args, kwargs)

    def _known(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not _is_meta(kwargs.get("device")):
            return self._memory.run(func, args, kwargs)
        here = {**kwargs, "device": torch.device("cpu")}
        if any(True for _ in _tensors(args)):
            return self._memory.run(func, args, here)
        shape_only = func(*args, **kwargs)
        if shape_only.numel() > MOST_KNOWN:
            return shape_only
        made = self._memory.run(func, args, here)
        # What stands in empty memory would make two runs differ.
        return made.zero_() if "empty" in func.overloadpacket.__name__ else made

    def _shape_only(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs = _mapped(_on_meta, (args, kwargs))
        if "device" in kwargs and kwargs["device"] is not None:
            kwargs = {**kwargs, "device": _META}
        try:
            return self._forms.run(func, args, kwargs)
        except NotImplementedError:
            args, kwargs = _mapped(pretended, (args, kwargs))
            kwargs.pop("device", None)
            return _mapped(_on_meta, self._memory.run(func, args, kwargs))

    def _is_unknown_mask(self, index: torch.Tensor | None) -> bool:
        return index is not None and index.dtype in _MASKS and self._is_unknown(index)

    def _indices(self, indices: Iterable[torch.Tensor | None]) -> Iterator[torch.Tensor | None]:
        """Yield indices that need no values: of a mask, the places where it is true."""
        for index in indices:
            if index is None or index.dtype not in _MASKS:
                yield index
            elif self._is_unknown(index):
                yield from places(index).unbind(1)
            else:
                yield from index.nonzero().unbind(1)


@contextlib.contextmanager
def known_values(seconds: float = math.inf) -> Iterator[None]:
    """Let a model on meta run on inputs with values; random numbers drawn inside leave no trace.

    After so many seconds of computing the next operator raises `TooSlowError`.

    transformers' checks of values, which its own switch turns off, would stop most runs: what
    they compare has none.
    """
    before = os.environ.get(_NO_CHECKS)
    os.environ[_NO_CHECKS] = "1"
    try:
        with torch.random.fork_rng(devices=[]), KnownValues(seconds), KnownFunctions():
            yield
    finally:
        if before is None:
            del os.environ[_NO_CHECKS]
        else:
            os.environ[_NO_CHECKS] = before


class KnownFunctions(TorchFunctionMode):
    """The same for functions of PyTorch that reach no operator or hide the device from it."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Answer what asks a meta tensor for a list, and keep literals on the CPU."""
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and _is_meta(kwargs.get("device")):
            kwargs = {**kwargs, "device": "cpu"}
        elif func in _LISTS and args[0].is_meta:
            args = (torch.zeros(args[0].shape, dtype=args[0].dtype), *args[1:])
        return func(*args, **kwargs)


_LISTS = frozenset({torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__})
"""Functions that hand a tensor's values to Python."""


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.is_meta else torch.empty_like(tensor, device=_META)


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


def _mapped(change: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    """Return `value` with every tensor in it changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)([_mapped(change, each) for each in value])
    if isinstance(value, dict):
        return {name: _mapped(change, each) for name, each in value.items()}
    return value


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[torch.Tensor]:
    """Yield the tensors that the operator writes into."""
    if not func._schema.is_mutable:  # noqa: SLF001 - no other way
        return
    for place, argument in enumerate(func._schema.arguments):  # noqa: SLF001 - as above
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            yield from _tensors((value,))
