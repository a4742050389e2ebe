"""What a fake tensor answers where an operator asks for its values, in sizes that bound them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


def _scalar(tensor: torch.Tensor) -> bool | int | float:
    """False or zero: most ask whether a mask hides something."""
    if tensor.dtype is torch.bool:
        return False
    return 0.0 if tensor.dtype.is_floating_point else 0


def _places(tensor: torch.Tensor) -> torch.Tensor:
    """All places, the most there can be."""
    return tensor.new_empty((tensor.numel(), tensor.dim()), dtype=torch.long)


def _selected(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return values.new_empty((torch.broadcast_tensors(values, mask)[0].numel(),))


ANSWERS: Mapping[str, Callable[..., Any]] = {
    "_local_scalar_dense": _scalar,
    "equal": lambda one, other: one.shape == other.shape,
    "masked_select": _selected,
    "nonzero": _places,
}
"""Operators whose result depends on values → what is answered."""

SIZED_BY_VALUES = frozenset({"masked_select", "nonzero"})
"""Those whose result is as large as the values say."""
