"""The memory of one training step, as predicted."""

from __future__ import annotations

from dataclasses import dataclass

from lorascope.core.roles import Role
from lorascope.core.training import TrainingSetup


@dataclass(frozen=True, slots=True)
class MemoryParts:
    """What the bytes of one moment are for. They add up to that moment's total."""

    base: int = 0
    """Weights and buffers of the base model, quantization scales included."""
    adapter: int = 0
    """Trainable weights: LoRA matrices, and modules that are trained whole."""
    gradient: int = 0
    optimizer: int = 0
    """Optimizer state."""
    activation: int = 0
    """What autograd keeps for the backward pass, up to the logits."""
    logits: int = 0
    """Logits and what the loss makes of them, gradients included."""
    temporary: int = 0
    """All else: what an operator needs for a moment, gradients of activations, copies."""

    @property
    def total(self) -> int:
        """Sum of the parts."""
        return (
            self.base
            + self.adapter
            + self.gradient
            + self.optimizer
            + self.activation
            + self.logits
            + self.temporary
        )


@dataclass(frozen=True, slots=True)
class MemoryFact:
    """What adding one role to a plan, dropping it, or another change would do to the step."""

    change: str
    """`without q`, `with ffn.down`, `dropout 0`, …"""
    role: Role | None
    """The role added or dropped; None for another change."""
    peak_bytes: int
    """Difference of the peak; negative for a saving."""
    kept_bytes: int
    """Difference of what the forward pass keeps for the backward pass."""
    text: str
    """The same as one sentence."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Prediction for one training step of one plan on one device. All sizes are bytes."""

    setup: TrainingSetup
    parts: MemoryParts
    """At the moment of the peak."""
    peak_at: str
    """Where in the step the peak falls, for example `loss` or `backward of model.layers.31`."""
    kept_bytes: int
    """What the forward pass keeps for the backward pass, logits and loss left out, wherever the
    peak falls."""
    overhead_bytes: int
    """Stated apart, in no sum: what the run cannot know, as an estimate (see `notes`)."""
    layers_run: int
    layers_total: int
    """Blocks that were run, of how many; the others are alike (see `docs/memory.md`)."""
    attention: str | None = None
    """Which of transformers' attention implementations was run, for example `sdpa`; None for a
    model that has its own."""
    facts: tuple[MemoryFact, ...] = ()
    notes: tuple[str, ...] = ()
    """What the figures mean and what they leave out, each one sentence."""

    @property
    def peak_bytes(self) -> int:
        """Most bytes allocated at any moment of the step."""
        return self.parts.total

    @property
    def kept_bytes_per_token(self) -> float:
        """Bytes that each further token in the batch keeps for the backward pass."""
        return self.kept_bytes / self.setup.tokens
