"""Facts are differences of predictions."""

from __future__ import annotations

from dataclasses import replace

import memory_models as models
import pytest

from lorascope.core.memory import MemoryFact
from lorascope.core.training import TrainingSetup
from lorascope.memory import Predictor
from lorascope.memory.facts import facts_for
from lorascope.planning import request_from

SETUP = TrainingSetup(batch_size=2, seq_len=64, adapter_dtype="bf16", device="cpu")


def _facts(setup: TrainingSetup = SETUP, **options: object) -> dict[str, MemoryFact]:
    request = request_from(preset=None, **options)
    plan = models.plan("short", **options)
    predictor = Predictor(models.model("short"))
    found = facts_for(predictor, models.inventory("short"), request, plan, setup)
    return {fact.change: fact for fact in found}


@pytest.fixture(scope="module")
def plain() -> dict[str, MemoryFact]:
    return _facts(dropout=0.0)


def test_each_role_is_added_or_dropped(plain: dict[str, MemoryFact]) -> None:
    assert list(plain) == [
        "without attention.q",
        "with attention.k",
        "without attention.v",
        "with attention.o",
        "with ffn.gate",
        "with ffn.up",
        "with ffn.down",
        "with gradient checkpointing",
    ]


def test_k_shares_its_input_with_q_and_v(plain: dict[str, MemoryFact]) -> None:
    rank, layers, size_of = 8, 2, 2
    fact = plain["with attention.k"]
    assert fact.kept_bytes == rank * layers * size_of * SETUP.tokens
    assert "keeps no activation beyond its rank" in fact.text
    assert "32 bytes a token" in fact.text


def test_down_keeps_an_input_of_its_own(plain: dict[str, MemoryFact]) -> None:
    fact = plain["with ffn.down"]
    assert fact.kept_bytes == (48 + 8) * 2 * 2 * SETUP.tokens
    assert "costs" in fact.text


def test_a_difference_is_that_of_two_predictions(plain: dict[str, MemoryFact]) -> None:
    predictor = Predictor(models.model("short"))
    two = predictor.predict(models.plan("short", dropout=0.0), SETUP)
    three = predictor.predict(models.plan("short", roles=("q", "k", "v"), dropout=0.0), SETUP)
    fact = plain["with attention.k"]
    assert fact.peak_bytes == three.peak_bytes - two.peak_bytes
    assert fact.kept_bytes == three.kept_bytes - two.kept_bytes


def test_dropout_is_a_fact_where_there_is_some() -> None:
    fact = _facts(dropout=0.05)["dropout 0"]
    assert fact.kept_bytes < 0
    assert fact.role is None
    assert fact.text.startswith("Dropout 0.05 costs ")


def test_checkpointing_is_turned_off_where_it_is_on() -> None:
    facts = _facts(replace(SETUP, gradient_checkpointing=True), dropout=0.0)
    assert facts["without gradient checkpointing"].kept_bytes > 0
