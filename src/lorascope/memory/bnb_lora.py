"""PEFT's LoRA layers for quantized linear layers, without bitsandbytes.

PEFT's own (`peft/tuners/lora/bnb.py`) import bitsandbytes; their forward passes are followed here.
"""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners import lora
from torch import Tensor

from lorascope.core.errors import MemoryPredictionError
from lorascope.memory.bnb_layers import Int8Linear, NF4Linear


class LoraInt8(lora.Linear):  # type: ignore[misc]  # PEFT carries no types
    """As `peft.tuners.lora.bnb.Linear8bitLt`."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: D102
        result: Tensor = self.base_layer(x, *args, **kwargs)
        for name in self.active_adapters:
            result = result + self._added(name, x, result.dtype)
        return result

    def _added(self, name: str, x: Tensor, dtype: torch.dtype) -> Tensor:
        lora_a, lora_b = self.lora_A[name], self.lora_B[name]
        cast = not torch.is_autocast_enabled()
        if cast:
            x = self._cast_input_dtype(x, lora_a.weight.dtype)
        output: Tensor = lora_b(lora_a(self.lora_dropout[name](x))) * self.scaling[name]
        return output.to(dtype) if cast else output


class LoraNF4(LoraInt8):
    """As `peft.tuners.lora.bnb.Linear4bit`, which clones the base layer's result."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:  # noqa: D102
        result: Tensor = self.base_layer(x, *args, **kwargs)
        result = result.clone()
        for name in self.active_adapters:
            result = result + self._added(name, x, result.dtype)
        return result


def use_quantized_lora(config: LoraConfig) -> None:
    """Let PEFT inject these layers where it meets the stand-ins of `lorascope.memory.bnb_layers`.

    Raises:
        MemoryPredictionError: The configuration asks for DoRA, whose layers unpack the quantized
            weight through bitsandbytes itself.
    """
    if config.use_dora:
        raise MemoryPredictionError(
            "The memory of DoRA on a quantized base model cannot be predicted.",
            "Leave --dora or --quantization out.",
        )
    # PEFT's documented door for layer types of others, underscored because it is experimental.
    config._register_custom_module({NF4Linear: LoraNF4, Int8Linear: LoraInt8})  # noqa: SLF001
