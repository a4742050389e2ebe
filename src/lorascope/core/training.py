"""How a training step is run, as far as its memory depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from lorascope.core.argument import named, quoted
from lorascope.core.errors import PlanError

DTYPES = ("bf16", "fp16", "fp32")
QUANTIZATIONS = ("none", "int8", "nf4")
OPTIMIZERS = ("adamw", "adamw-8bit", "paged-adamw-8bit", "adafactor", "sgd")
ADAPTER_DTYPES = ("fp32", "bf16")
SHARDINGS = ("none", "fsdp")
DEVICES = ("cuda", "cpu")

MOST = {
    "batch_size": 1_000_000,
    "seq_len": 100_000_000,
    "accumulation": 1_000_000,
    "devices": 100_000,
}
"""Largest value of the fields that count something."""
_CHOICES = {
    "dtype": DTYPES,
    "quantization": QUANTIZATIONS,
    "optimizer": OPTIMIZERS,
    "adapter_dtype": ADAPTER_DTYPES,
    "sharding": SHARDINGS,
    "device": DEVICES,
}

_OPTIONS = {"accumulation": "accumulation (--gradient-accumulation)"}
"""Fields whose option has another name."""


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """One training step: what goes in, in which precision, and how it is carried out.

    Raises:
        PlanError: A value is not one that its field takes; the message names field and option.
    """

    batch_size: int = 1
    """Sequences in one step on one device."""
    seq_len: int = 2048
    """Tokens in each sequence, all of them real: none is padding. An encoder-decoder gets as
    many on both sides."""
    accumulation: int = 1
    """Micro-batches of `batch_size` sequences per optimizer step. With more than one, the last is
    followed: the gradients of those before it live through all of it."""
    dtype: str = "bf16"
    """Of the base model's weights that are not quantized: one of `DTYPES`."""
    quantization: str = "none"
    """Of the base model's linear layers: one of `QUANTIZATIONS` (bitsandbytes' layouts)."""
    kbit_upcast: bool = False
    """Whether what is not quantized of a quantized base is float32, as PEFT's
    `prepare_model_for_kbit_training` makes it; else it has `dtype`, as TRL's `SFTTrainer` leaves
    it. Without effect where nothing is quantized."""
    autocast: bool = False
    """Whether the forward pass runs in mixed precision, as with the Trainer's `bf16=True` or
    `fp16=True`: in fp16 where `dtype` is fp16, else in bf16."""
    gradient_checkpointing: bool = False
    optimizer: str = "adamw"
    """One of `OPTIMIZERS`. `adamw` is PyTorch's, fused on CUDA, as the Trainer takes it."""
    adapter_dtype: str = "fp32"
    """Of the LoRA matrices: PEFT makes them float32 by default (`autocast_adapter_dtype`)."""
    devices: int = 1
    sharding: str = "none"
    """`none`: every device holds everything (data parallel). `fsdp`: weights, gradients and
    optimizer state are sharded, one block at a time is gathered."""
    device: str = "cuda"
    """Whose allocator and optimizer loop are followed: one of `DEVICES`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name), field.default)
        if self.sharding != "none" and self.devices == 1:
            raise PlanError(
                f"--sharding {self.sharding} needs more than one device; --devices is 1.",
                "Say how many with --devices N.",
            )

    @property
    def tokens(self) -> int:
        """Tokens in one step on one device."""
        return self.batch_size * self.seq_len


def setup_from(setup: object) -> TrainingSetup:
    """Return the setup itself, or the one that a mapping of its fields makes.

    Raises:
        PlanError: It is neither, there is no such field, or a value is not one that its field
            takes.
    """
    if isinstance(setup, TrainingSetup):
        return setup
    if not isinstance(setup, Mapping):
        raise PlanError(
            f"setup is {quoted(setup)}; expected a TrainingSetup or a mapping of its fields.",
            'For example setup={"batch_size": 4, "seq_len": 1024}.',
        )
    known = [field.name for field in fields(TrainingSetup)]
    for name in setup:
        if name not in known:
            raise PlanError(
                f"A training setup has no {quoted(name)}; expected one of {', '.join(known)}."
            )
    return TrainingSetup(**setup)


def _check(name: str, value: object, default: object) -> None:
    if name in MOST:
        most = MOST[name]
        is_taken = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most
        expected = f"a whole number from 1 to {most:,}"
    elif name in _CHOICES:
        is_taken = isinstance(value, str) and value in _CHOICES[name]
        expected = f"one of {', '.join(_CHOICES[name])}"
    else:
        is_taken = isinstance(value, type(default))
        expected = f"a {type(default).__name__}: True or False"
    if not is_taken:
        raise PlanError(
            f"{_OPTIONS.get(name) or named(name)} is {quoted(value)}; expected {expected}."
        )
