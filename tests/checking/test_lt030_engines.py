"""LT030 and the data about engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example, findings_of
from lorascope.serving.engines import engines, read_engines
from lorascope.checking.rules.lt030_engine_limit import RULE

_QV = {"target_modules": ["q_proj", "v_proj"]}


@pytest.mark.parametrize(
    ("engine", "more", "where"),
    [
        ("vllm", {"use_dora": True}, "use_dora"),
        ("vllm", {"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ("vllm", {"bias": "all"}, "bias"),
        ("vllm", {"r": 1024}, "r"),
        ("sglang", {"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ("sglang", {"target_modules": r".*\.q_proj"}, "target_modules"),
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
    assert found(RULE, "Qwen3-30B-A3B", config, engines=("vllm",)) == ()


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


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('title = "vLLM"', 'title = "vLLM"\nextra = 1', "extra"),
        ('scale = "one-for-all"', 'scale = "other"', "other"),
        ('refuses = ["dora"', 'refuses = ["unknown"', "unknown"),
        ("ranks = [1, 8", "ranks = [8, 1", "ranks"),
    ],
)
def test_schema_of_the_data_is_closed(old: str, new: str, error: str) -> None:
    from importlib.resources import files

    text = files("lorascope.checking").joinpath("engines.toml").read_text("utf-8")
    assert old in text
    with pytest.raises(ValueError, match=error):
        read_engines(text.replace(old, new))
