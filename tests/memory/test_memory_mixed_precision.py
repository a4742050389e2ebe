"""Forward passes under autocast: with the lists of the device that is followed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import memory_models as models
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from lorascope.core.memory import Memory
from lorascope.core.training import TrainingSetup
from lorascope.memory import Predictor
from lorascope.memory.mixed_precision import (
    IN_FLOAT32,
    INTO_FLOAT32,
    lists_of_cuda,
    mixed_precision,
)

SETUP = TrainingSetup(batch_size=2, seq_len=16)
MIXED = replace(SETUP, autocast=True)


def _predict(setup: TrainingSetup, name: str = "short", **options: Any) -> Memory:
    return Predictor(models.model(name)).predict(models.plan(name, dropout=0.0, **options), setup)


def _has_kernel(name: str, device: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", f"Autocast{device}")


@pytest.mark.parametrize("name", [*IN_FLOAT32, *INTO_FLOAT32])
def test_only_what_the_devices_treat_otherwise_is_replaced(name: str) -> None:
    assert _has_kernel(name, "CUDA")
    assert not _has_kernel(name, "CPU")
    with lists_of_cuda():
        assert _has_kernel(name, "CPU")
    assert not _has_kernel(name, "CPU")


@pytest.mark.parametrize(
    ("lists", "dtype"), [(lists_of_cuda, torch.float32), (nullcontext, torch.bfloat16)]
)
def test_norms_and_softmax_are_float32_on_cuda_only(lists: Any, dtype: torch.dtype) -> None:
    with FakeTensorMode(), lists(), mixed_precision(MIXED) as converted:
        x = torch.empty(4, 8, dtype=torch.bfloat16)
        assert functional.layer_norm(x, (8,)).dtype is dtype
        assert x.softmax(-1).dtype is dtype
        assert torch.softmax(x, 1, None).dtype is dtype
        assert (x @ torch.empty(8, 8)).dtype is torch.bfloat16
        assert converted({"logits": x})["logits"].dtype is torch.float32


def test_nothing_is_changed_without_it() -> None:
    with mixed_precision(SETUP) as converted:
        assert not torch.is_autocast_enabled("cpu")
        outputs = {"logits": torch.empty(1, dtype=torch.bfloat16)}
        assert converted(outputs) is outputs


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("bf16", torch.bfloat16), ("fp16", torch.float16), ("fp32", torch.bfloat16)],
)
def test_the_type_it_computes_in(dtype: str, expected: torch.dtype) -> None:
    with mixed_precision(replace(MIXED, dtype=dtype)):
        assert torch.get_autocast_dtype("cpu") is expected


def test_float32_adapters_keep_half_of_what_they_keep_without_it() -> None:
    # Each adapter casts its input to float32, and autocast that copy back for the product.
    plain, mixed = _predict(SETUP, preset="qv"), _predict(MIXED, preset="qv")
    assert mixed.kept_bytes < plain.kept_bytes
    assert mixed.parts.adapter == plain.parts.adapter
    assert "under autocast" in mixed.notes[0]
    assert "no autocast" in plain.notes[0]


def test_a_float32_base_keeps_a_copy_of_each_weight() -> None:
    # A product's backward pass needs the weight as it was multiplied with, in bf16. With two
    # tokens next to nothing else is kept.
    few = replace(SETUP, batch_size=1, seq_len=2, dtype="fp32", device="cpu")
    plain, mixed = _predict(few), _predict(replace(few, autocast=True))
    hidden, inner, layers = 32, 48, 2
    weights = layers * (3 * hidden * hidden + 3 * hidden * inner)
    assert mixed.kept_bytes - plain.kept_bytes == pytest.approx(2 * weights, rel=0.2)
    assert mixed.parts.base == plain.parts.base


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen3_moe", "t5"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_equals_the_full_run(name: str, checkpointing: bool) -> None:
    setup = replace(MIXED, gradient_checkpointing=checkpointing)
    predictor, plan = Predictor(models.model(name)), models.plan(name)
    short, full = predictor.predict(plan, setup), predictor.predict(plan, setup, full=True)
    assert short.layers_run < full.layers_run
    assert replace(short, layers_run=full.layers_run) == full


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantized_base_runs_under_it(quantization: str) -> None:
    setup = replace(MIXED, quantization=quantization, gradient_checkpointing=True)
    assert _predict(setup).peak_bytes > 0
