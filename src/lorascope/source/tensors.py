"""What a checkpoint's header says of one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """Name, shape and type of one stored tensor; never its data."""

    name: str
    """Full name as the checkpoint stores it, for example `model.norm.weight`."""
    shape: tuple[int, ...]
    """Outermost dimension first, as PyTorch has it: a linear weight is (out, in)."""
    dtype: str
    """As the format spells it: `BF16`, `F32`, `U8` (safetensors); `F16`, `Q4_K` (GGUF)."""

    @property
    def count(self) -> int:
        """Number of elements that the shape gives."""
        return prod(self.shape)
