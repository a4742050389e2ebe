"""LT028: rank and alpha patterns that decide nothing, or that an engine does not read."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking.rules.lt028_pattern_without_effect import RULE

_MIXED = {
    "target_modules": ["q_proj", "v_proj", "up_proj"],
    "r": 8,
    "lora_alpha": 16,
    "rank_pattern": {"up_proj": 4},
}
_CONSTANT = _MIXED | {"alpha_pattern": {"up_proj": 8}}


def test_key_that_matches_nothing() -> None:
    config = {"target_modules": ["q_proj"], "rank_pattern": {"down_proj": 4, "q_proj": 16}}
    [finding] = found(RULE, "Llama-3.1-8B", config)
    assert (finding.entry, finding.severity) == ("down_proj", "warning")
    assert "No adapted module" in finding.message


def test_key_behind_a_wider_one() -> None:
    pattern = {".*proj": 4, "layers.0.self_attn.q_proj": 16}
    config = {"target_modules": ["q_proj"], "rank_pattern": pattern}
    [finding] = found(RULE, "Llama-3.1-8B", config)
    assert finding.entry == "layers.0.self_attn.q_proj"
    assert "'.*proj' decides for all 1" in finding.message
    config["rank_pattern"] = dict(reversed(pattern.items()))
    assert found(RULE, "Llama-3.1-8B", config) == ()


@pytest.mark.parametrize("engine", ["tgi", "lorax"])
def test_engine_with_one_scale_for_all(engine: str) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _MIXED, engines=(engine,))
    assert finding.severity == "error"
    said = "x0.5 on 32 modules (up_proj), trained at the scale 4 and served at 2."
    assert finding.message.endswith(said)
    assert found(RULE, "Llama-3.1-8B", _CONSTANT, engines=(engine,)) == ()


def test_llama_cpp_divides_by_each_rank() -> None:
    assert found(RULE, "Llama-3.1-8B", _MIXED, engines=("llama.cpp",)) == ()
    [finding] = found(RULE, "Llama-3.1-8B", _CONSTANT, engines=("llama.cpp",))
    assert "trained at the scale 2 and served at 4" in finding.message


def test_older_vllm_scaled_by_one_factor() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _MIXED, engines=("vllm",))
    assert finding.severity == "warning"
    assert finding.message == (
        "vLLM up to 0.31.0 does not read it: x0.5 on 32 modules (up_proj), trained at the scale 4"
        " and served at 2."
    )
    assert found(RULE, "Llama-3.1-8B", _CONSTANT, engines=("vllm",)) == ()


@pytest.mark.parametrize("engine", ["peft", "sglang"])
def test_engine_that_reads_or_refuses_patterns(engine: str) -> None:
    assert found(RULE, "Llama-3.1-8B", _MIXED, engines=(engine,)) == ()


def test_alpha_alone_is_not_read_by_sglang() -> None:
    config = {"target_modules": ["q_proj", "v_proj"], "alpha_pattern": {"v_proj": 32}}
    [finding] = found(RULE, "Llama-3.1-8B", config, engines=("sglang",))
    assert "x0.25 on 32 modules (v_proj)" in finding.message


def test_rewritten_experts_keep_their_scale() -> None:
    config = {"target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"], "r": 8}
    assert found(RULE, "Qwen3-30B-A3B", config, engines=("vllm",)) == ()


def test_what_is_left_out_has_no_other_scale() -> None:
    config = {"target_modules": ["qkv_proj", "gate_up_proj"], "rank_pattern": {"gate_up_proj": 4}}
    assert found(RULE, "Phi-3-mini", config, engines=("tgi",)) == ()
    [finding] = found(RULE, "Phi-3-mini", config, engines=("lorax",))
    assert "x0.5 on 32 modules (gate_up_proj)" in finding.message


def test_what_is_trained_is_rewritten() -> None:
    tensors = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 64)}
    [finding] = found(RULE, "Llama-3.1-8B", _MIXED, engines=("tgi",), tensors=tensors)
    assert "lorascope adapt . --serve tgi" in finding.hint
