"""What is answered in place of operators that fake tensors do not do, in sizes that bound them."""

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
    shape = torch.broadcast_shapes(values.shape, mask.shape)  # type: ignore[no-untyped-call]
    return values.new_empty((shape.numel(),))


def _grouped_product(
    first: torch.Tensor,
    second: torch.Tensor,
    ends: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,  # noqa: ARG001 - of the operator
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Products of groups of rows; PyTorch's own rule of shapes refuses all but bf16."""
    shape: tuple[int, ...] = (first.shape[-2], second.shape[-1])
    if first.dim() == second.dim():
        groups = first.shape[0] if ends is None else ends.shape[0]
        shape = (groups, *shape)
    return first.new_empty(shape, dtype=dtype or first.dtype)


ANSWERS: Mapping[str, Callable[..., Any]] = {
    "_grouped_mm": _grouped_product,
    "_local_scalar_dense": _scalar,
    "equal": lambda one, other: one.shape == other.shape,
    "masked_select": _selected,
    "nonzero": _places,
}
"""Operators whose result depends on values, or that fake tensors know too little of → what is
answered."""

SIZED_BY_VALUES = frozenset({"masked_select", "nonzero"})
"""Those whose result is as large as the values say."""
