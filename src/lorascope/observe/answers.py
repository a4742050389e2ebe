"""What a tensor without values answers where a forward pass asks for some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

MOST_PLACES = 2**20
"""Elements of the largest mask or list whose places are listed with their values."""


def pretended(tensor: torch.Tensor) -> torch.Tensor:
    """Return zeros in the shape of a tensor without values; they share one element."""
    if not tensor.is_meta:
        return tensor
    return torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)


def places(mask: torch.Tensor) -> torch.Tensor:
    """Return the places where a mask without values is true, of shape (count, dimensions): all.

    With all of them every expert is visited and every count is that of the shape.
    """
    if mask.numel() > MOST_PLACES:
        return torch.empty((mask.numel(), mask.dim()), dtype=torch.long, device="meta")
    return torch.ones(mask.shape, dtype=torch.bool).nonzero()


def _scalar(tensor: torch.Tensor) -> bool | int | float:
    """Answer for the value of a meta tensor: false, zero. Most ask whether a mask is trivial."""
    if tensor.dtype is torch.bool:
        return False
    return 0.0 if tensor.dtype.is_floating_point else 0


def _selected(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    shape = torch.broadcast_shapes(values.shape, mask.shape)  # type: ignore[no-untyped-call]  # torch
    count = shape.numel() if mask.is_meta else int(mask.expand(shape).sum())
    return values.new_empty((count,), device="meta")


def _repeated(repeats: torch.Tensor, output_size: int | None = None) -> torch.Tensor:
    count = repeats.numel() if output_size is None else output_size
    return torch.arange(count, device="meta" if count > MOST_PLACES else "cpu")


ASKS_FOR_VALUES: Mapping[str, Callable[..., Any]] = {
    "_local_scalar_dense": _scalar,
    "equal": lambda one, other: one.shape == other.shape,
    "masked_select": _selected,
    "nonzero": places,
    "repeat_interleave": _repeated,
}
"""Operators that need values → what a tensor answers that has none."""
