"""Stand-ins for bitsandbytes' linear layers: the same storages, and the same allocations.

They compute nothing of use. Source: bitsandbytes 0.50.2, `nn/modules.py`, `functional.py`,
`autograd/_functions.py` and `backends/cuda/ops.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NF4_BLOCK = 64
"""Weights that share one scale (`Params4bit.blocksize`)."""
SCALE_BLOCK = 256
"""Scales that share one scale of their own (double quantization)."""
NF4_CODES = 16
SCALE_CODES = 256
OUTLIER_THRESHOLD = 6.0
"""`llm_int8_threshold`: columns of the input with a larger value are computed apart."""


def _empty(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _cast_bias(layer: nn.Linear, dtype: torch.dtype) -> None:
    """Cast the bias for good, as both layers of bitsandbytes do in their first forward pass."""
    if layer.bias is not None and layer.bias.dtype != dtype:
        layer.bias.data = layer.bias.data.to(dtype)


class NF4Linear(nn.Linear):
    """Holds what `bitsandbytes.nn.Linear4bit` holds with nf4 and double quantization.

    Storages for n = out · in weights: packed uint8 (⌈n/2⌉, 1); per block of 64 weights one scale
    as uint8; per 256 scales one float32; one float32 offset; the code tables of the weights
    (16 float32) and of the scales (256 float32).
    """

    absmax: Tensor
    offset: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: nn.Parameter | None,
        compute_dtype: torch.dtype,
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.compute_dtype = compute_dtype
        weights = in_features * out_features
        scales = -(-weights // NF4_BLOCK)
        packed = _empty((weights + 1) // 2, 1, dtype=torch.uint8)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.register_parameter("bias", bias)
        for name, shape, dtype in (
            ("absmax", (scales,), torch.uint8),
            ("code", (NF4_CODES,), torch.float32),
            ("offset", (), torch.float32),
            ("nested_absmax", (-(-scales // SCALE_BLOCK),), torch.float32),
            ("nested_code", (SCALE_CODES,), torch.float32),
        ):
            self.register_buffer(name, _empty(*shape, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        given = x.dtype
        x = x.to(self.compute_dtype)
        _cast_bias(self, x.dtype)
        out: Tensor = _MatMul4Bit.apply(x, self)  # type: ignore[no-untyped-call]
        return out.to(given)

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Return what the weight is unpacked to: (out, in)."""
        scales = torch.empty_like(self.absmax, dtype=torch.float32)
        scales += self.offset
        return torch.empty((self.out_features, self.in_features), dtype=dtype, device=scales.device)


class _MatMul4Bit(torch.autograd.Function):
    """As `MatMul4Bit`: keeps no input, unpacks the weight in both directions.

    A fused kernel does without unpacking in the forward pass where the input has few rows (never
    above 1,536, and then depending on the GPU); the larger figure is taken.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: NF4Linear) -> Tensor:
        ctx.layer = layer
        weight = layer.dequantized(x.dtype)
        return nn.functional.linear(x, weight, layer.bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return torch.matmul(grad, ctx.layer.dequantized(grad.dtype)), None


class Int8Linear(nn.Linear):
    """Holds what `bitsandbytes.nn.Linear8bitLt(has_fp16_weights=False)` holds.

    Storages: int8 (out, in) and one float32 scale a row.
    """

    row_scales: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: nn.Parameter | None,
        *,
        on_cpu: bool,
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.on_cpu = on_cpu
        weight = _empty(out_features, in_features, dtype=torch.int8)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_parameter("bias", bias)
        self.register_buffer("row_scales", _empty(out_features, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        _cast_bias(self, x.dtype)
        product = _MatMul8bitFp if self.on_cpu else _MatMul8bitLt
        out: Tensor = product.apply(x, self)  # type: ignore[no-untyped-call]
        return out

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Return what the weight is unpacked to: (out, in)."""
        return self.weight.to(dtype, copy=True).mul_(self.row_scales.unsqueeze(1).mul(1 / 127))


class _MatMul8bitFp(torch.autograd.Function):
    """As `MatMul8bitFp`, taken on a CPU: unpacks the weight, keeps the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Int8Linear) -> Tensor:
        # An attribute, not save_for_backward: it lives as long as the graph.
        ctx.layer, ctx.x = layer, x
        return nn.functional.linear(x, layer.dequantized(x.dtype), layer.bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _int8_input_gradient(ctx, grad), None


class _MatMul8bitLt(torch.autograd.Function):
    """As `MatMul8bitLt`: quantizes and keeps the input, multiplies into int32.

    Without outlier columns, whose number depends on the values.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Int8Linear) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        ctx.layer, ctx.x = layer, rows
        quantized, scales = _quantize_rows(rows.to(torch.float16))
        out = _int8_product(quantized, scales, layer, x.dtype)
        return out.reshape(*x.shape[:-1], layer.out_features)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _int8_input_gradient(ctx, grad), None


def _quantize_rows(half: Tensor) -> tuple[Tensor, Tensor]:
    scales = torch.empty(half.shape[0], dtype=torch.float32, device=half.device)
    quantized = torch.empty_like(half, dtype=torch.int8)
    _ = half.abs() >= OUTLIER_THRESHOLD
    return quantized, scales


def _int8_product(
    quantized: Tensor, scales: Tensor, layer: Int8Linear, dtype: torch.dtype
) -> Tensor:
    shape = (quantized.shape[0], layer.out_features)
    sums = torch.empty(shape, dtype=torch.int32, device=scales.device)
    out = torch.empty_like(sums, dtype=torch.float16)
    if layer.bias is not None:
        out = out.add_(layer.bias)
    return out.to(dtype)


def _int8_input_gradient(ctx: Any, grad: Tensor) -> Tensor:
    shape = (*grad.shape[:-1], ctx.layer.in_features)
    rows = grad.reshape(-1, grad.shape[-1]).contiguous()
    dtype = ctx.x.dtype
    return torch.matmul(rows.to(dtype), ctx.layer.dequantized(dtype)).view(shape)
