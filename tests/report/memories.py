"""Hand-made memory predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lorascope.core.memory import Memory, MemoryFact, MemoryParts
from lorascope.core.roles import Role
from lorascope.core.training import TrainingSetup

PARTS = MemoryParts(
    base=16_060_522_496,
    adapter=13_631_488,
    gradient=13_631_488,
    optimizer=27_262_976,
    activation=12_400_000_000,
    logits=2_101_346_304,
    temporary=1_000_000,
)


def memory_of(**changes: Any) -> Memory:
    """A prediction for one step of an 8 B model, made up."""
    memory = Memory(
        setup=TrainingSetup(),
        parts=PARTS,
        peak_at="loss",
        kept_bytes=12_350_000_000,
        overhead_bytes=900_000_000,
        layers_run=2,
        layers_total=32,
        facts=(
            MemoryFact("without q", Role.ATTENTION_Q, -1_200_000, 0, "q costs nothing beside v."),
            MemoryFact("dropout 0", None, -1_181_116_006, -1_181_116_006, "Dropout keeps copies."),
        ),
        notes=("Overhead is the CUDA context and what the allocator rounds up.",),
    )
    return replace(memory, **changes)
