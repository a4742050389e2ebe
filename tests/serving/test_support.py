"""What an engine's class of a model does with each name; models are made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from builders import llama, mixture, multimodal
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.serving.engines import Feature, engines
from lorascope.serving.support import Does, Fate, fates, support_of

LLAMA = llama(cls="LlamaForCausalLM")


def found(engine: str, inventory: Inventory, **fields: Any) -> Mapping[str, Fate]:
    support = support_of(engines()[engine], inventory)
    return fates(support, match(inventory, LoraSpec(**fields)), inventory)


@pytest.mark.parametrize("engine", list(engines()))
def test_attention_of_a_llama_is_served_by_all(engine: str) -> None:
    assert found(engine, LLAMA, target_modules=("q_proj", "k_proj", "v_proj", "o_proj")) == {}


def test_a_class_without_adapters() -> None:
    inventory = llama(cls="FalconForCausalLM")
    support = support_of(engines()["vllm"], inventory)
    assert support.takes_adapters is False
    fate = found("vllm", inventory, target_modules=("q_proj",))["model.layers.0.self_attn.q_proj"]
    assert (fate.does, fate.feature) == (Does.REFUSES, Feature.UNSUPPORTED_MODEL)


def test_an_unknown_architecture_is_not_judged() -> None:
    inventory = llama(cls="OtherForCausalLM")
    assert support_of(engines()["vllm"], inventory).is_unknown
    assert not support_of(engines()["tgi"], inventory).is_unknown
    assert found("vllm", inventory, target_modules=("q_proj",)) == {}


def test_a_name_that_the_class_joins() -> None:
    inventory = llama(cls="Phi3ForCausalLM")
    fate = found("vllm", inventory, target_modules=("q_proj",))["model.layers.0.self_attn.q_proj"]
    assert (fate.does, fate.feature) == (Does.REFUSES, Feature.UNKNOWN_NAME)
    assert "expected target modules in" in fate.why


@pytest.mark.parametrize(("cls", "is_served"), [("LlamaForCausalLM", 1), ("Qwen2ForCausalLM", 0)])
def test_the_head_counts_where_the_class_names_it(cls: str, is_served: int) -> None:
    fate = found("vllm", llama(cls=cls), target_modules=("lm_head",)).get("lm_head")
    assert (fate is None) == bool(is_served)
    if fate is not None:
        assert "of embeddings and output layers Qwen2ForCausalLM adapts none" in fate.why


@pytest.mark.parametrize(
    ("names", "refused"),
    [
        (("q_proj", "v_proj"), ()),
        (("v_proj", "o_proj"), ("v_proj",)),
        (("q_proj", "k_proj"), ("k_proj", "q_proj")),
        (("gate_proj", "down_proj"), ()),
        (("up_proj", "down_proj"), ("up_proj",)),
    ],
)
def test_sglang_joins_names_beside_each_other(
    names: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    got = found("sglang", LLAMA, target_modules=names)
    assert sorted({path.rpartition(".")[2] for path in got}) == list(refused)
    assert all(fate.does is Does.REFUSES for fate in got.values())


def test_tgi_looks_for_names_of_its_own() -> None:
    got = found("tgi", multimodal(), target_modules=("q_proj",))
    assert got
    assert all(fate.does is Does.IGNORES for fate in got.values())


def test_experts_that_the_engine_holds_elsewhere() -> None:
    inventory = mixture(cls="MixtralForCausalLM")
    got = found("vllm", inventory, target_parameters=("experts.gate_up_proj", "experts.down_proj"))
    [fate] = set(got.values())
    assert (fate.does, fate.feature) == (Does.IGNORES, Feature.EXPERT_PARAMETERS)
    assert "block_sparse_moe" in fate.why


def test_stacked_experts_need_an_option() -> None:
    inventory = mixture(cls="Qwen3MoeForCausalLM")
    got = found("vllm", inventory, target_parameters=("experts.gate_up_proj", "experts.down_proj"))
    [fate] = set(got.values())
    assert fate.does is Does.NEEDS
    assert "--enable-mixed-moe-lora-format" in fate.why


def test_one_half_of_stacked_experts_fails() -> None:
    inventory = mixture(cls="GptOssForCausalLM")
    both = ("experts.gate_up_proj", "experts.down_proj")
    assert found("vllm", inventory, target_parameters=both) == {}
    [fate] = set(found("vllm", inventory, target_parameters=both[1:]).values())
    assert fate.does is Does.REFUSES
