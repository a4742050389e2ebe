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


@pytest.mark.parametrize("engine", ["sglang", "llama.cpp", "tgi", "lorax"])
def test_biases_count_where_the_model_has_some(engine: str) -> None:
    assert found(RULE, "Llama-3.1-8B", _QV | {"bias": "all"}, engines=(engine,)) == ()
    [finding] = found(RULE, "Qwen2.5-0.5B", _QV | {"bias": "all"}, engines=(engine,))
    assert finding.where == "bias"


def test_vllm_refuses_the_field_even_without_biases() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _QV | {"bias": "all"}, engines=("vllm",))
    assert finding.hint.endswith("so that nothing is lost.")


def _tensors(*names: str, rank: int = 8, layers: int = 32) -> dict[str, tuple[int, ...]]:
    stems = [
        f"base_model.model.model.layers.{layer}.{name}" for layer in range(layers) for name in names
    ]
    factors = {f"{stem}.lora_A.weight": (rank, 64) for stem in stems}
    return factors | {f"{stem}.lora_B.weight": (64, rank) for stem in stems}


@pytest.mark.parametrize(
    ("engine", "more"),
    [
        ("sglang", {"rank_pattern": {"q_proj": 4}}),
        ("sglang", {"target_modules": r".*\.(q|v)_proj"}),
        ("sglang", {"target_modules": ["v_proj"]}),
        ("llama.cpp", {"use_rslora": True}),
        ("tgi", {"layers_to_transform": [0, 1]}),
    ],
)
def test_what_is_trained_is_rewritten(engine: str, more: dict[str, object]) -> None:
    tensors = _tensors("self_attn.q_proj", "self_attn.v_proj")
    config = _QV | more
    [finding] = found(RULE, "Llama-3.1-8B", config, engines=(engine,), tensors=tensors)
    assert finding.hint.startswith(f"Rewrite what is trained: lorascope adapt . --serve {engine}")


def test_no_rewriting_where_something_else_is_in_the_way() -> None:
    config = _QV | {"rank_pattern": {"q_proj": 4}, "use_dora": True}
    tensors = _tensors("self_attn.q_proj", "self_attn.v_proj")
    findings = found(RULE, "Llama-3.1-8B", config, engines=("sglang",), tensors=tensors)
    assert len(findings) == 2
    assert all("lorascope adapt" not in finding.hint for finding in findings)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_experts_that_are_stored_one_by_one(engine: str) -> None:
    config = {"target_modules": ["q_proj", "v_proj", "w1", "w2", "w3"]}
    experts = [f"block_sparse_moe.experts.{n}.{w}" for n in range(8) for w in ("w1", "w2", "w3")]
    single = _tensors("self_attn.q_proj", "self_attn.v_proj", *experts)
    assert found(RULE, "Mixtral-8x7B", config, engines=(engine,), tensors=single) == ()
    [finding] = found(RULE, "Mixtral-8x7B", config, engines=("tgi",), tensors=single)
    assert "leaves it out" in finding.message
    stacked = _tensors("self_attn.q_proj", "mlp.experts", "mlp.experts.base_layer")
    [finding] = found(RULE, "Mixtral-8x7B", config, engines=(engine,), tensors=stacked)
    assert f"lorascope adapt . --serve {engine}" in finding.hint


def test_half_of_a_joined_layer_at_sglang() -> None:
    config = {"target_modules": ["v_proj", "o_proj"]}
    [finding] = found(RULE, "Llama-3.1-8B", config, engines=("sglang",))
    assert "needs q_proj and v_proj together" in finding.message


def test_experts_that_vllm_holds_elsewhere() -> None:
    config = {"target_modules": ["q_proj", "w1", "w2", "w3"]}
    [finding] = found(RULE, "Mixtral-8x7B", config, engines=("vllm",))
    assert "holds its experts in block_sparse_moe" in finding.message
    assert "leaves it out" in finding.message


@pytest.mark.parametrize("engine", ["tgi", "lorax"])
@pytest.mark.parametrize(("rank", "padded", "factor"), [(4, 8, "x0.5"), (20, 32, "x0.625")])
def test_a_rank_that_is_padded_is_divided_by(
    engine: str, rank: int, padded: int, factor: str
) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _QV | {"r": rank}, engines=(engine,))
    assert (finding.where, finding.entry) == ("r", str(rank))
    assert f"pads rank {rank} to {padded}" in finding.message
    assert f"{factor} on 32 modules (v_proj)." in finding.message
    assert f"Train with r {padded}" in finding.hint
    assert found(RULE, "Llama-3.1-8B", _QV | {"r": padded}, engines=(engine,)) == ()
