"""What PyTorch's fused attention kernels on CUDA allocate; nothing is computed.

Sources: PyTorch 2.13, aten/src/ATen/native/transformers/attention.cpp (which kernel),
cuda/flash_attn/flash_api.cpp and cuda/attention_backward.cu (what each allocates).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_FLASH_TYPES = (torch.float16, torch.bfloat16)
_LARGEST_FLASH_HEAD = 256
_FLASH_ROWS = 128
"""FlashAttention rounds the number of queries up to it in its accumulators."""
_FLASH_COLUMNS = 32
"""And the size of a head up to it."""
_LARGEST_HEAD_IN_REGISTERS = 128
"""Head size up to which the memory-efficient kernel sums the gradients of key and value up
without a buffer."""


def fused_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Stand in for `torch.nn.functional.scaled_dot_product_attention` on CUDA.

    Args:
        query: (batch, heads, queries, head size).
        key: (batch, key heads, keys, head size).
        value: (batch, key heads, keys, value head size).
        attn_mask: Broadcasts to (batch, heads, queries, keys), or None.
        dropout_p: Costs nothing: the kernels keep the random state, not the mask.
        is_causal: Costs nothing.
        scale: Costs nothing.
        enable_gqa: Whether there may be fewer key heads than heads.

    Returns:
        (batch, heads, queries, value head size).
    """
    del dropout_p, is_causal, scale, enable_gqa
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        # Each call turns it into a bias of its own, which it keeps.
        attn_mask = torch.empty_like(attn_mask, dtype=query.dtype)
    made: Tensor = _Fused.apply(query, key, value, attn_mask)  # type: ignore[no-untyped-call]
    return made


def _is_flash(query: Tensor, value: Tensor, mask: Tensor | None) -> bool:
    return (
        mask is None
        and query.dtype in _FLASH_TYPES
        and query.shape[-1] == value.shape[-1] <= _LARGEST_FLASH_HEAD
    )


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        batch, heads, queries, _ = query.shape
        output = query.new_empty((batch, queries, heads, value.shape[-1])).transpose(1, 2)
        log_sum = query.new_empty((batch, heads, queries), dtype=torch.float32)
        ctx.save_for_backward(query, key, value, mask, output, log_sum)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, _, log_sum = ctx.saved_tensors
        buffers = (
            _flash_buffers(query, key)
            if _is_flash(query, value, mask)
            else _efficient_buffers(query, key, value, log_sum)
        )
        made = [torch.empty_like(each) for each in (query, key, value)]
        bias = torch.empty_like(mask) if mask is not None and ctx.needs_input_grad[3] else None
        del buffers, gradient
        return (*made, bias)


def _flash_buffers(query: Tensor, key: Tensor) -> list[Tensor]:
    batch, heads, queries, size = query.shape
    rows, columns = _up(queries, _FLASH_ROWS), _up(size, _FLASH_COLUMNS)
    buffers = [
        query.new_empty((batch, heads, rows), dtype=torch.float32),
        query.new_empty((batch, heads, rows, columns), dtype=torch.float32),
    ]
    if key.shape[1] != heads:
        buffers += [query.new_empty((batch, key.shape[2], heads, size)) for _ in range(2)]
    return buffers


def _efficient_buffers(query: Tensor, key: Tensor, value: Tensor, log_sum: Tensor) -> list[Tensor]:
    summed_apart = [] if query.dtype is torch.float32 else [query]
    if max(query.shape[-1], value.shape[-1]) > _LARGEST_HEAD_IN_REGISTERS:
        summed_apart += [key, value]
    return [
        torch.empty_like(log_sum),
        *(torch.empty_like(each, dtype=torch.float32) for each in summed_apart),
    ]


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
