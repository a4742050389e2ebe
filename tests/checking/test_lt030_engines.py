"""LT030 and the data about engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example, findings_of
from lorascope.checking.rules.lt030_engine_limit import RULE
from lorascope.serving.engines import engines

_QV = {"target_modules": ["q_proj", "v_proj"]}


@pytest.mark.parametrize(
    ("engine", "more", "where"),
    [
        ("vllm", {"use_dora": True}, "use_dora"),
        ("vllm", {"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ("vllm", {"bias": "all"}, "bias"),
        ("vllm", {"r": 1024}, "r"),
        ("sglang", {"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ("sglang", {"target_modules": r".*\.(q|v)_proj"}, "target_modules"),
        ("sglang", {"use_rslora": True}, "use_rslora"),
        ("llama.cpp", {"use_rslora": True}, "use_rslora"),
        ("llama.cpp", {"modules_to_save": ["embed_tokens"]}, "modules_to_save"),
        ("tgi", {"layers_to_transform": [0, 1]}, "target_modules"),
        ("lorax", {"use_dora": True}, "use_dora"),
    ],
)
def test_what_an_engine_does_not_take(engine: str, more: dict[str, object], where: str) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _QV | more, engines=(engine,))
    assert (finding.where, finding.severity) == (where, "error")
    assert engines()[engine].title in finding.message


def test_rank_that_needs_an_option() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _QV | {"r": 48}, engines=("vllm",))
    assert finding.severity == "warning"
    assert "--max-lora-rank 64" in finding.hint


def test_head_on_a_tied_model() -> None:
    config = {"target_modules": ["q_proj", "lm_head"]}
    [finding] = found(RULE, "Qwen2.5-0.5B", config, engines=("llama.cpp",))
    assert "shares its weight" in finding.message
    assert found(RULE, "Llama-3.1-8B", config, engines=("llama.cpp",)) == ()


def test_tower_needs_an_option() -> None:
    [finding] = found(RULE, "Gemma-3-4B", _QV, engines=("vllm",))
    assert "--enable-tower-connector-lora" in finding.hint
    assert finding.severity == "warning"


def test_experts_as_parameters() -> None:
    config = {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]}
    assert found(RULE, "Qwen3-30B-A3B", config, engines=("llama.cpp",))
    [finding] = found(RULE, "Qwen3-30B-A3B", config, engines=("vllm",))
    assert finding.severity == "warning"
    assert "--enable-mixed-moe-lora-format" in finding.hint


@pytest.mark.parametrize("engine", list(engines()))
def test_plain_adapter_is_served_by_all(engine: str) -> None:
    config = {
        "r": 16,
        "lora_alpha": 32,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "rank_pattern": {},
        "bias": "none",
    }
    assert found(RULE, "Llama-3.1-8B", config, engines=(engine,)) == ()


def test_nothing_without_an_engine_or_with_an_unknown_one() -> None:
    assert found(RULE, "Llama-3.1-8B", _QV | {"use_dora": True}) == ()
    assert found(RULE, "Llama-3.1-8B", _QV | {"use_dora": True}, engines=("other",)) == ()


def test_without_a_model_the_configuration_alone_is_judged() -> None:
    known = subject(Example("Llama-3.1-8B", _QV | {"use_dora": True}, engines=("vllm",)))
    alone = replace(known, inventory=None, match=None, entries=())
    assert [finding.where for finding in findings_of(alone, (RULE,))] == ["use_dora"]


def test_a_name_that_the_engine_joins_already() -> None:
    config = {"target_modules": ["qkv_proj", "gate_up_proj", "down_proj"]}
    assert found(RULE, "Phi-3-mini", config, engines=("vllm",)) == ()
    [finding] = found(RULE, "Phi-3-mini", config, engines=("tgi",))
    assert "LoRA on 32 modules (gate_up_proj)" in finding.message
    assert "leaves it out without an error" in finding.message


def test_a_head_that_the_class_does_not_adapt() -> None:
    config = {"target_modules": ["q_proj", "lm_head"]}
    [finding] = found(RULE, "Qwen2.5-0.5B", config, engines=("vllm",))
    assert "expected target modules in" in finding.message
    assert found(RULE, "Llama-3.1-8B", config, engines=("vllm",)) == ()


def test_a_model_that_takes_no_adapters() -> None:
    config = {"target_modules": ["query_key_value"]}
    [finding] = found(RULE, "Falcon-7B", config, engines=("vllm",))
    assert (finding.entry, finding.severity) == ("query_key_value", "error")
    assert "its class for FalconForCausalLM takes no adapters" in finding.message


def test_an_engine_without_a_class_for_the_model_is_a_warning() -> None:
    [finding] = found(RULE, "T5-base", {"target_modules": ["q", "v"]}, engines=("vllm",))
    assert (finding.entry, finding.severity) == ("T5ForConditionalGeneration", "warning")
    assert "has no class of its own" in finding.message


def test_half_of_a_joined_layer_at_sglang() -> None:
    config = {"target_modules": ["v_proj", "o_proj"]}
    [finding] = found(RULE, "Llama-3.1-8B", config, engines=("sglang",))
    assert "needs q_proj and v_proj together" in finding.message


def test_experts_that_vllm_holds_elsewhere() -> None:
    config = {"target_modules": ["q_proj", "w1", "w2", "w3"]}
    [finding] = found(RULE, "Mixtral-8x7B", config, engines=("vllm",))
    assert "holds its experts in block_sparse_moe" in finding.message
    assert "leaves it out" in finding.message
