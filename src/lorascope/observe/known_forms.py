"""What operators on meta tensors give, worked out once for each form of their arguments.

The layers of a model are alike, and PyTorch works out many a result's shape in Python.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

MOST_KEPT = 10_000
"""Forms kept; what comes after them is worked out each time."""


class _UnknownFormError(Exception):
    """An argument or a result of which no form is kept."""


@dataclass(frozen=True, slots=True)
class _Form:
    """All that a fresh meta tensor is."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def made(self) -> torch.Tensor:
        # A mode around this one might give the fresh tensor values.
        with _disable_current_modes():
            return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


class KnownForms:
    """Runs operators on meta tensors, and makes what they gave before without running them."""

    def __init__(self) -> None:
        self._forms: dict[Hashable, _Form | tuple[_Form, ...]] = {}

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what `func` gives, none of whose arguments has values.

        An operator that writes or shows a part of an argument is always run.
        """
        if func.is_view or func._schema.is_mutable:  # noqa: SLF001 - no other way
            return func(*args, **kwargs)
        try:
            key = (func, torch.get_default_dtype(), _key(args), _key(kwargs))
            known = self._forms.get(key)
        except (_UnknownFormError, TypeError):  # an argument that has no hash
            return func(*args, **kwargs)
        if known is not None:
            return known.made() if isinstance(known, _Form) else tuple(f.made() for f in known)
        result = func(*args, **kwargs)
        if len(self._forms) < MOST_KEPT:
            self._keep(key, result, {_storage(each) for each in _tensors((args, kwargs))})
        return result

    def _keep(self, key: Hashable, result: Any, given: set[int]) -> None:
        try:
            if isinstance(result, torch.Tensor):
                self._forms[key] = _form(result, given)
            elif type(result) is tuple:
                self._forms[key] = tuple(_form(each, given) for each in result)
        except _UnknownFormError:
            return


def _key(value: Any) -> Hashable:
    """Return what tells arguments apart: of tensors their form, of others type and value."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_complex():  # a complex one may be lazy
            raise _UnknownFormError
        return (value.shape, value.stride(), value.dtype, value.device.type)
    if isinstance(value, list | tuple):
        return (type(value), *map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(each)) for name, each in value.items())
    return (type(value), value)


def _form(result: Any, given: set[int]) -> _Form:
    """Return the form of a result that is a tensor of its own, with no room beyond it."""
    if not isinstance(result, torch.Tensor) or not result.is_meta or result.is_complex():
        raise _UnknownFormError
    form = _Form(tuple(result.shape), result.stride(), result.dtype)
    room = result.untyped_storage().nbytes()
    if _storage(result) in given or form.made().untyped_storage().nbytes() != room:
        raise _UnknownFormError
    return form


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001 - its address


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
