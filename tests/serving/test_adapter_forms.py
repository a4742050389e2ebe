"""What engines want of an adapter's tensors: the data and its schema."""

from __future__ import annotations

import pytest

from lorascope.serving.adapter_forms import Experts, adapter_forms, read_adapter_forms
from lorascope.serving.engines import engines
from lorascope.serving.facts import ModelClass


def test_every_engine_has_a_form() -> None:
    assert adapter_forms().keys() == engines().keys()
    assert all(form.source for form in adapter_forms().values())


@pytest.mark.parametrize(
    ("engine", "rank", "padded"),
    [
        ("tgi", 1, 8),
        ("tgi", 8, 8),
        ("lorax", 9, 16),
        ("lorax", 17, 32),
        ("vllm", 9, 9),
        ("llama.cpp", 1, 1),
    ],
)
def test_ranks_that_an_engine_pads_no_further(engine: str, rank: int, padded: int) -> None:
    """TGI and LoRAX: `pad_to_min_rank` in LoRAX's utils/punica.py."""
    assert adapter_forms()[engine].rank_from(rank) == padded


def test_the_class_of_the_model_says_how_experts_are_stored() -> None:
    form = adapter_forms()["vllm"]
    assert form.experts_of(None) is Experts.SINGLE
    assert form.experts_of(ModelClass("GptOssForCausalLM", experts="3d")) is Experts.STACKED
    assert form.experts_of(ModelClass("MixtralForCausalLM", experts="2d")) is Experts.SINGLE


@pytest.mark.parametrize("line", ["", "experts = 'single'\nblock = 0\nunknown = 1"])
def test_an_unknown_or_lacking_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"adapter_forms\.toml, x: keys"):
        read_adapter_forms(f"[x]\n{line}")
