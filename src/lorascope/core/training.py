"""How a training step is run, as far as its memory depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lorascope.core.errors import PlanError

DTYPES = ("bf16", "fp16", "fp32")
QUANTIZATIONS = ("none", "int8", "nf4")
OPTIMIZERS = ("adamw", "adamw-8bit", "paged-adamw-8bit", "adafactor", "sgd")
ADAPTER_DTYPES = ("fp32", "bf16")
SHARDINGS = ("none", "fsdp")
DEVICES = ("cuda", "cpu")

_MOST = {"--batch-size": 1_000_000, "--seq-len": 100_000_000, "--devices": 100_000}


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """One training step: what goes in, in which precision, and how it is carried out.

    Raises:
        PlanError: A value is not one that its option takes; the message names the option.
    """

    batch_size: int = 1
    """Sequences in one step on one device."""
    seq_len: int = 2048
    """Tokens in each sequence, all of them real: none is padding. An encoder-decoder gets as
    many on both sides."""
    dtype: str = "bf16"
    """Of the base model's weights that are not quantized: one of `DTYPES`."""
    quantization: str = "none"
    """Of the base model's linear layers: one of `QUANTIZATIONS` (bitsandbytes' layouts)."""
    gradient_checkpointing: bool = False
    optimizer: str = "adamw"
    """One of `OPTIMIZERS`."""
    adapter_dtype: str = "fp32"
    """Of the LoRA matrices: PEFT makes them float32 by default (`autocast_adapter_dtype`)."""
    devices: int = 1
    sharding: str = "none"
    """`none`: every device holds everything (data parallel). `fsdp`: weights, gradients and
    optimizer state are sharded, one block at a time is gathered."""
    device: str = "cuda"
    """Whose allocator and optimizer loop are followed: one of `DEVICES`."""

    def __post_init__(self) -> None:
        for option, value in (
            ("--batch-size", self.batch_size),
            ("--seq-len", self.seq_len),
            ("--devices", self.devices),
        ):
            _whole(option, value, _MOST[option])
        _one_of("--dtype", self.dtype, DTYPES)
        _one_of("--quantization", self.quantization, QUANTIZATIONS)
        _one_of("--optimizer", self.optimizer, OPTIMIZERS)
        _one_of("--adapter-dtype", self.adapter_dtype, ADAPTER_DTYPES)
        _one_of("--sharding", self.sharding, SHARDINGS)
        _one_of("--device", self.device, DEVICES)
        if self.sharding != "none" and self.devices == 1:
            raise PlanError(
                f"--sharding {self.sharding} needs more than one device; --devices is 1.",
                "Say how many with --devices N.",
            )

    @property
    def tokens(self) -> int:
        """Tokens in one step on one device."""
        return self.batch_size * self.seq_len


def setup_from(options: Mapping[str, Any]) -> TrainingSetup:
    """Return the setup that a mapping of its fields makes.

    Raises:
        PlanError: There is no such field, or its value is not one that it takes.
    """
    known = [field.name for field in fields(TrainingSetup)]
    for name in options:
        if name not in known:
            raise PlanError(f"A training setup has no {name}; expected one of {', '.join(known)}.")
    return TrainingSetup(**options)


def _whole(option: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlanError(f"{option} is {value!r}; expected a whole number from 1 to {most:,}.")


def _one_of(option: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PlanError(f"{option} is {value!r}; expected one of {', '.join(known)}.")
