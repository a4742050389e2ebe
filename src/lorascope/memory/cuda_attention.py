"""What PyTorch's fused attention kernels on CUDA allocate; nothing is computed.

Sources: PyTorch, aten/src/ATen/native/transformers/cuda: flash_attn/flash_api.cpp at 03b7c19d
(`mha_fwd`, `mha_bwd`), attention_backward.cu at 00afd8f2 (`_flash_attention_backward`,
`_efficient_attention_backward`) and mem_eff_attention/kernel_backward.h (`workspace_size`).
With cuDNN above 9.15 PyTorch prefers cuDNN's kernel on Hopper and Blackwell (sdp_utils.cpp,
`check_prefer_cudnn_attention`); its workspace is not known, flash stands for it.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor

_FLASH_TYPES = (torch.float16, torch.bfloat16)
_LARGEST_FLASH_HEAD = 256
_FLASH_ROWS = 128
"""FlashAttention rounds the number of queries up to it in its accumulators."""
_LARGEST_NARROW_HEAD = 128
"""And the size of a head up to a multiple of 32 up to this size, of 64 above it."""
_EFFICIENT_ROWS = 64
"""Queries in a block of the memory-efficient kernel; 128 on some GPUs."""
_LARGEST_HEAD_IN_REGISTERS = 128
"""Head size up to which that kernel sums the gradients of key and value up in registers. Above
it, it does so in buffers, of which there are at most as many as keep 200 blocks at work."""
_BLOCKS_AT_WORK = 200


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
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
        attn_mask = attn_mask.to(dtype) if _is_numbers(attn_mask) else attn_mask
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        # Each call turns it into a bias of its own, which it keeps.
        attn_mask = torch.empty_like(attn_mask, dtype=query.dtype)
    made: Tensor = _Fused.apply(query, key, value, attn_mask)  # type: ignore[no-untyped-call]
    return made


def _is_numbers(mask: Tensor | None) -> TypeGuard[Tensor]:
    return mask is not None and mask.is_floating_point()


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
        # Both kernels want it in the order (batch, queries, heads, head size).
        gradient = gradient.transpose(1, 2).contiguous()
        made = [torch.empty_like(each) for each in (query, key, value)]
        bias = torch.empty_like(mask) if mask is not None and ctx.needs_input_grad[3] else None
        buffers = (
            _flash_buffers(query, key)
            if _is_flash(query, value, mask)
            else _efficient_buffers(query, key, value, gradient, log_sum)
        )
        del buffers, gradient
        return (*made, bias)


def _flash_buffers(query: Tensor, key: Tensor) -> list[Tensor]:
    batch, heads, queries, size = query.shape
    rows, columns = _up(queries, _FLASH_ROWS), _up(size, 32 if size <= _LARGEST_NARROW_HEAD else 64)
    buffers = [
        query.new_empty((batch, heads, rows), dtype=torch.float32),
        query.new_empty((batch, heads, rows, columns), dtype=torch.float32),
    ]
    if key.shape[1] != heads:
        buffers += [query.new_empty((batch, key.shape[2], heads, size)) for _ in range(2)]
    return buffers


def _efficient_buffers(
    query: Tensor, key: Tensor, value: Tensor, gradient: Tensor, log_sum: Tensor
) -> list[Tensor]:
    batch, heads, queries, size = query.shape
    if query.dtype is torch.float32:
        # The kernels of half precision sum this up by themselves.
        sums = (gradient * gradient).sum(-1).transpose(-2, -1).contiguous()
    else:
        sums = torch.empty_like(log_sum)
    # The gradient of the query is summed up over blocks of keys in a workspace, in float32.
    elements = _up(queries, _EFFICIENT_ROWS) * _up(size, _EFFICIENT_ROWS)
    if query.dtype is not torch.float32 and max(size, value.shape[-1]) > _LARGEST_HEAD_IN_REGISTERS:
        blocks = -(-key.shape[2] // _EFFICIENT_ROWS)
        splits = max(1, min(blocks, _BLOCKS_AT_WORK // (batch * heads)))
        columns = _up(size, _EFFICIENT_ROWS) + _up(value.shape[-1], _EFFICIENT_ROWS)
        elements += splits * _EFFICIENT_ROWS * columns
    workspace = query.new_empty((batch * heads * elements,), dtype=torch.float32)
    return [sums, workspace]


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
