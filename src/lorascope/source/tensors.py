"""What a checkpoint's header says of one tensor, and how many tensors and names are believed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from lorascope.core.errors import ModelConfigError

MOST_TENSORS = 250_000
"""The largest published checkpoints store each of 23,000 experts in 9 tensors, in all 210,000."""
_LONGEST_NAME = 512
_MOST_PARTS = 64


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


def check_count(count: int, where: str) -> None:
    """Raise `ModelConfigError` if a checkpoint lists more tensors than any real one."""
    if count > MOST_TENSORS:
        raise ModelConfigError(
            f"{where} lists {count:,} tensors; expected at most {MOST_TENSORS:,}."
        )


def check_name(name: str, where: str) -> None:
    """Raise `ModelConfigError` if a tensor's name is longer or deeper than any real one."""
    if len(name) > _LONGEST_NAME:
        raise ModelConfigError(
            f"{where}: the tensor name {name!r:.80} has {len(name):,} characters; expected at"
            f" most {_LONGEST_NAME}."
        )
    if name.count(".") >= _MOST_PARTS:
        raise ModelConfigError(
            f"{where}: the tensor name {name!r:.80} is nested too deeply; expected at most"
            f" {_MOST_PARTS} parts."
        )
