"""What a tensor without values answers where a forward pass asks for some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


def _scalar(tensor: torch.Tensor) -> bool | int | float:
    """Answer for the value of a meta tensor: false, zero. Most ask whether a mask is trivial."""
    if tensor.dtype is torch.bool:
        return False
    return 0.0 if tensor.dtype.is_floating_point else 0


def _one_place(tensor: torch.Tensor) -> torch.Tensor:
    """Answer for the places where a meta tensor is not zero: one. Most ask for hit experts."""
    return tensor.new_empty((1, tensor.dim()), dtype=torch.long)


ASKS_FOR_VALUES: Mapping[str, Callable[[torch.Tensor], Any]] = {
    "_local_scalar_dense": _scalar,
    "nonzero": _one_place,
}
"""Operators that need values → what a meta tensor, which has none, answers."""
