"""Leaving alike blocks out changes no figure."""

from __future__ import annotations

from dataclasses import replace

import memory_models as models
import pytest

from lorascope.core.training import TrainingSetup
from lorascope.memory import Predictor

SETUP = TrainingSetup(batch_size=2, seq_len=16)
CHECKPOINTING = replace(SETUP, gradient_checkpointing=True)


def _assert_equal(name: str, setup: TrainingSetup, **options: object) -> None:
    predictor = Predictor(models.model(name))
    plan = models.plan(name, **options)
    short, full = predictor.predict(plan, setup), predictor.predict(plan, setup, full=True)
    assert short.layers_run < short.layers_total == full.layers_run
    assert replace(short, layers_run=full.layers_run) == full


@pytest.mark.parametrize("name", models.DEEP)
def test_equals_the_full_run(name: str) -> None:
    _assert_equal(name, SETUP)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "t5"])
def test_equals_the_full_run_with_checkpointing(name: str) -> None:
    _assert_equal(name, CHECKPOINTING, preset="attention")


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_equals_the_full_run_without_dropout(device: str) -> None:
    _assert_equal("llama", replace(SETUP, device=device), dropout=0.0)


@pytest.mark.parametrize("layers", ["0-3", "2-8", "8"])
def test_equals_the_full_run_where_some_layers_are_adapted(layers: str) -> None:
    _assert_equal("llama", SETUP, layers=layers)


def test_equals_the_full_run_with_quantized_weights_on_several_devices() -> None:
    setup = replace(SETUP, devices=4, sharding="fsdp", optimizer="adamw-8bit", quantization="nf4")
    _assert_equal("llama", setup)


def test_a_short_model_is_run_whole() -> None:
    memory = Predictor(models.model("short")).predict(models.plan("short"), SETUP)
    assert memory.layers_run == memory.layers_total == 2
