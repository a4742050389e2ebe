"""Made-up memory for plans: quick, and known exactly."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from lorascope.core.memory import Memory, MemoryParts
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup

Predict = Callable[[Plan, TrainingSetup], Memory]


def memory(setup: TrainingSetup, base: int, activation: int = 0, overhead: int = 0) -> Memory:
    """A prediction of these parts."""
    return Memory(
        setup,
        MemoryParts(base=base, activation=activation),
        peak_at="loss",
        kept_bytes=activation,
        overhead_bytes=overhead,
        layers_run=1,
        layers_total=1,
    )


@dataclass
class Model:
    """Memory that rises with everything that is trained, and counts how often it was asked."""

    base: int = 100_000
    per_param: int = 16
    per_module: int = 100
    """Bytes that each adapted module keeps of each sequence."""
    per_sequence: int = 5_000
    checkpointed: float = 0.25
    """Share of what is kept that checkpointing leaves."""
    quantized: float = 0.3
    overhead: int = 0
    asked: list[tuple[Plan, TrainingSetup]] = field(default_factory=list)

    def __call__(self, plan: Plan, setup: TrainingSetup) -> Memory:
        self.asked.append((plan, setup))
        kept = setup.batch_size * (self.per_sequence + self.per_module * len(plan.targets))
        kept = int(kept * self.checkpointed) if setup.gradient_checkpointing else kept
        base = int(self.base * self.quantized) if setup.quantization == "nf4" else self.base
        return memory(setup, base + self.per_param * plan.trainable_params, kept, self.overhead)


def scrambled(salt: int, most: int = 1000) -> Predict:
    """Memory that follows no law, but is the same each time."""

    def predict(plan: Plan, setup: TrainingSetup) -> Memory:
        text = f"{salt} {[(t.path, t.rank) for t in plan.targets]} {setup}"
        return memory(setup, 1 + zlib.crc32(text.encode()) % most)

    return predict
