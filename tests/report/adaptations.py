"""What was done to an adapter, as values."""

from __future__ import annotations

from lorascope.core.adaptation import Adaptation, AdaptedPair, Change, Step


def some_adaptation(*, written: bool = True) -> Adaptation:
    """An adapter with one pair that is scaled exactly, one that is rounded and one of zeros."""
    pairs = (
        AdaptedPair("layers.0.q", ("layers.0.q",), 4, 8, (2.0,), 4.0, (0.5,), exact=True),
        AdaptedPair("layers.1.q", ("layers.1.q",), 4, 8, (2.0,), 4.0, (0.5,), exact=True),
        AdaptedPair("layers.0.up", ("layers.0.up",), 8, 8, (3.0,), 4.0, (0.75,), exact=False),
        AdaptedPair("layers.0.v", (), 0, 8, (), 4.0, (), exact=True),
    )
    return Adaptation(
        origin="adapter/adapter_config.json",
        engine="vllm",
        title="vLLM",
        version="0.33.0",
        base_model="owner/base",
        served_model="owner/wrapper",
        adapter_config={"r": 8, "lora_alpha": 32, "target_modules": ["q", "up", "v"]},
        rank=8,
        alpha=32,
        pairs=pairs,
        changes=(
            Change(Step.PADDED, "2 pairs padded.", ("layers.0.q", "layers.1.q")),
            Change(Step.DROPPED, "dora left out as asked."),
        ),
        tensors_before=6,
        tensors=8,
        bytes_before=1024,
        bytes=2048,
        directory="served" if written else None,
        rounding=2.0**-25 if written else None,
        notes=("Start vLLM with --max-lora-rank 32.",),
    )
