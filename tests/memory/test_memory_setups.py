"""Quantized bases, 8-bit and paged optimizers, several devices: through the whole prediction."""

from functools import cache
from typing import Any

import pytest
from memory_models import model, plan

from lorascope.core.memory import Memory
from lorascope.core.training import TrainingSetup
from lorascope.memory import Predictor

TOKENS = {"batch_size": 1, "seq_len": 16}
HIDDEN, FEED_FORWARD, LAYERS, VOCABULARY = 32, 48, 2, 64
QUANTIZED = LAYERS * (2 * HIDDEN * HIDDEN + 2 * HIDDEN * HIDDEN // 2 + 3 * HIDDEN * FEED_FORWARD)
"""Weights of the linear layers in the blocks of `short`."""
WHOLE = 2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN
"""Weights of the embedding, the head and the norms."""


@cache
def predicted(preset: str = "qv", rank: int = 8, **setup: Any) -> Memory:
    setup = {"device": "cpu", **TOKENS, **setup}
    return Predictor(model("short")).predict(
        plan("short", preset, rank=rank, dropout=0.0), TrainingSetup(**setup)
    )


def test_int8_counts_a_byte_a_weight_and_a_scale_a_row() -> None:
    rows = LAYERS * (HIDDEN + 2 * HIDDEN // 2 + HIDDEN + 2 * FEED_FORWARD + HIDDEN)
    rotary = predicted(dtype="fp32").parts.base - 4 * (QUANTIZED + WHOLE)
    expected = QUANTIZED + 4 * rows + 4 * WHOLE + rotary
    assert predicted(quantization="int8", kbit_upcast=True).parts.base == expected


def test_nf4_takes_less_than_int8_where_layers_are_large_enough_for_its_tables() -> None:
    tables = LAYERS * 7 * 4 * (16 + 256 + 1)
    nf4, int8 = (predicted(quantization=kind).parts.base for kind in ("nf4", "int8"))
    assert nf4 - tables < int8


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_a_quantized_base_can_be_checkpointed(kind: str) -> None:
    plain = predicted(quantization=kind)
    checkpointed = predicted(quantization=kind, gradient_checkpointing=True)
    assert checkpointed.kept_bytes < plain.kept_bytes
    told = any("use_reentrant" in note for note in checkpointed.notes)
    assert told is (kind == "int8")
    assert not any("use_reentrant" in note for note in plain.notes)


def test_paged_states_are_told_and_not_counted() -> None:
    rank = 4096
    held = predicted("qv", rank, optimizer="adamw-8bit", device="cuda")
    paged = predicted("qv", rank, optimizer="paged-adamw-8bit", device="cuda")
    # Of q's and v's matrices all but v's second have at least 100,000 elements.
    apart = 2 * LAYERS * (3 * HIDDEN * rank)
    assert held.parts.optimizer - paged.parts.optimizer == apart
    (note,) = (note for note in paged.notes if "managed memory" in note)
    assert f"{apart:,} bytes" in note
    assert not [note for note in held.notes if "managed memory" in note]


def test_fsdp_needs_less_of_what_stays() -> None:
    one = predicted(device="cuda").parts
    many = predicted(device="cuda", devices=4, sharding="fsdp").parts
    assert many.optimizer < one.optimizer
    assert many.base < one.base
    assert many.activation == one.activation


def test_without_the_upcast_the_rest_of_a_quantized_base_keeps_its_type() -> None:
    upcast = predicted(quantization="nf4", kbit_upcast=True)
    plain = predicted(quantization="nf4")
    assert upcast.parts.base - plain.parts.base == (4 - 2) * WHOLE
    assert plain.kept_bytes < upcast.kept_bytes
    assert any("prepare_model_for_kbit_training" in note for note in upcast.notes)
    assert any("TRL's SFTTrainer leaves it" in note for note in plain.notes)


def test_the_upcast_says_nothing_of_a_base_that_is_not_quantized() -> None:
    assert predicted(kbit_upcast=True).parts == predicted().parts
