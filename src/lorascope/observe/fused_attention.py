"""Attention as a fused kernel does it: noted whole, and with what such a kernel keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from lorascope.observe.provenance import Provenance


class FusedAttention(TorchFunctionMode):
    """While active, PyTorch's own attention function is noted instead of computed.

    On meta tensors it would be taken apart into products, which keep other things.
    """

    def __init__(self, provenance: Provenance) -> None:
        """Note attentions in `provenance`."""
        super().__init__()
        self._provenance = provenance

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Answer a call of the attention function; hand on every other one."""
        if func is functional.scaled_dot_product_attention:
            return self._attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
    ) -> torch.Tensor:
        shape = (*query.shape[:-1], value.shape[-1])
        output = attended(query, key, value, shape, is_fused=True)
        active = self._provenance.active
        self._provenance.attend((query, key, value), output, active[-1] if active else None)
        return output


def attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    shape: tuple[int, ...],
    is_fused: bool,
) -> torch.Tensor:
    """Return zeros for the output of an attention.

    Args:
        query: Query.
        key: Key.
        value: Value.
        shape: Shape of the output.
        is_fused: Whether the kernel keeps its output for the backward pass.
    """
    output: torch.Tensor = _Attend.apply(query, key, value, shape, is_fused)  # type: ignore[no-untyped-call]  # torch is not typed here
    return output


class _Attend(torch.autograd.Function):
    """An attention that computes nothing and keeps what a fused kernel keeps.

    Those keep query, key, value and their own output. Source: `derivatives.yaml` of PyTorch,
    `_scaled_dot_product_flash_attention`. One that is not fused keeps probabilities instead of
    the output.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        shape: tuple[int, ...],
        is_fused: bool,
    ) -> torch.Tensor:
        """Return zeros of `shape`."""
        output = value.new_zeros(shape)
        ctx.save_for_backward(query, key, value, *([output] if is_fused else []))
        return output
