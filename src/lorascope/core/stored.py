"""One tensor as the header of a checkpoint or adapter lists it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Name, shape and type of one stored tensor; never its data."""

    name: str
    """Full name as the file stores it, for example `model.norm.weight` in a checkpoint or
    `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` in an adapter."""
    shape: tuple[int, ...]
    """Outermost dimension first, as PyTorch has it: a linear weight is (out, in)."""
    dtype: str
    """As the format spells it: `BF16`, `F32`, `U8` (safetensors); `F16`, `Q4_K` (GGUF)."""

    @property
    def count(self) -> int:
        """Number of elements that the shape gives."""
        return prod(self.shape)
