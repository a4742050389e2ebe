"""Bound the memory that a run on values really takes: a config may ask for any size."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

MOST_AT_ONCE = 2**28
"""Bytes that one operator may make with values."""
MOST_TOGETHER = 2**30
"""Bytes that may live at once of what operators made with values."""

_SMALL = 2**16
"""Bytes below which a tensor is not counted: the run's time bounds how many there are."""
_WIDEST = 16
"""Bytes of the largest element (complex128)."""
_SIZED_BY_VALUES: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "bincount": torch.max,
    "repeat_interleave": torch.sum,
}
"""Operators that make as many elements as their first argument's values say → how many."""


class TooLargeError(Exception):
    """What ran asked for more memory than it is given."""


class RealMemory:
    """Counts what operators make with values, and refuses what is too much before it is made."""

    def __init__(self) -> None:
        self._alive: dict[int, tuple[int, weakref.ref[Any]]] = {}
        """Identity of a storage → its bytes, for as long as it lives."""
        self._together = 0

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run an operator on tensors with values.

        Raises:
            TooLargeError: Its result takes more memory than it is given. Nothing was run then.
        """
        if func.is_view:
            return func(*args, **kwargs)
        size = _size(func, args, kwargs)
        if size > MOST_AT_ONCE or self._together + size > MOST_TOGETHER:
            name = func.overloadpacket.__name__
            raise TooLargeError(f"{name} asks for {size / 2**20:,.0f} MiB of real memory")
        result = func(*args, **kwargs)
        for made in _tensors((result,)):
            self._note(made)
        return result

    def _note(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        key = id(storage)
        if tensor.is_meta or size < _SMALL or key in self._alive:
            return

        def died(_: Any) -> None:
            self._together -= self._alive.pop(key)[0]

        self._alive[key] = (size, weakref.ref(storage, died))
        self._together += size


def _size(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """Return how many bytes the operator would make; 0 where they are certainly few."""
    name = func.overloadpacket.__name__
    values = [leaf for leaf in tree_leaves((args, dict(kwargs))) if leaf is not None]
    given = [leaf for leaf in values if isinstance(leaf, torch.Tensor)]
    if name in _SIZED_BY_VALUES and given and given[0].numel():
        rows = math.prod(given[0].shape[1:]) if len(given) == 1 else given[0].numel()
        return int(_SIZED_BY_VALUES[name](given[0])) * max(rows, 1) * 8
    if given and _product(values) * _WIDEST <= MOST_AT_ONCE:
        return 0
    try:
        return sum(_bytes(made) for made in _tensors((_on_meta(func, args, kwargs),)))
    except (NotImplementedError, RuntimeError):
        # As large as values say, which is never more than a few numbers for each element.
        return 0


def _product(values: Iterable[Any]) -> float:
    """Return a number that no result of these arguments has more elements than."""
    product = 1.0
    for value in values:
        if isinstance(value, torch.Tensor):
            product *= value.numel() + 1
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            product *= abs(value) + 1
    return product


def _on_meta(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    def change(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value if value.is_meta else torch.empty_like(value, device="meta")
        if isinstance(value, list | tuple):
            return type(value)([change(each) for each in value])
        return value

    options = {name: change(value) for name, value in kwargs.items()}
    if any(argument.name == "device" for argument in func._schema.arguments):  # noqa: SLF001 - no other way
        options["device"] = torch.device("meta")
    return func(*change(args), **options)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tuple(values)) if isinstance(leaf, torch.Tensor))
