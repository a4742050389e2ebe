"""A memory prediction as plain JSON values. Schema: `memory` of `schema/plan.schema.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lorascope.core.memory import Memory, MemoryFact
from lorascope.core.training import TrainingSetup


def memory_json(memory: Memory) -> dict[str, Any]:
    """Return a prediction; all sizes are bytes."""
    parts = memory.parts
    return {
        "base_bytes": parts.base,
        "adapter_bytes": parts.adapter,
        "gradient_bytes": parts.gradient,
        "optimizer_bytes": parts.optimizer,
        "activation_bytes": parts.activation,
        "logits_bytes": parts.logits,
        "temporary_bytes": parts.temporary,
        "peak_bytes": memory.peak_bytes,
        "peak_at": memory.peak_at,
        "kept_bytes": memory.kept_bytes,
        "kept_bytes_per_token": memory.kept_bytes_per_token,
        "overhead_bytes": memory.overhead_bytes,
        "setup": setup_json(memory.setup),
        "attention": memory.attention,
        "layers_run": memory.layers_run,
        "layers_total": memory.layers_total,
        "facts": [_fact(fact) for fact in memory.facts],
        "notes": list(memory.notes),
    }


def setup_json(setup: TrainingSetup) -> dict[str, Any]:
    """Return how the training step is run."""
    return asdict(setup)


def memory_summary_json(memory: Memory) -> dict[str, Any]:
    """Return what stands beside a plan among others. Schema: `schema/compare.schema.json`."""
    return {
        "peak_bytes": memory.peak_bytes,
        "peak_at": memory.peak_at,
        "kept_bytes": memory.kept_bytes,
        "kept_bytes_per_token": memory.kept_bytes_per_token,
        "overhead_bytes": memory.overhead_bytes,
    }


def _fact(fact: MemoryFact) -> dict[str, Any]:
    return {
        "change": fact.change,
        "role": None if fact.role is None else str(fact.role),
        "peak_bytes": fact.peak_bytes,
        "kept_bytes": fact.kept_bytes,
        "text": fact.text,
    }
