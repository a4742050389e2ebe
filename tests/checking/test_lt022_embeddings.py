"""LT022 and LT023: token embeddings and heads."""

from __future__ import annotations

from typing import Any

import pytest
from one_rule import found

from lorascope.checking.rules.lt022_tied_weight_adapted import RULE as TIED
from lorascope.checking.rules.lt023_whole_embedding_saved import RULE as WHOLE
from lorascope.core.recipe import Tool


@pytest.mark.parametrize("model", ["Gemma-2-9B", "Qwen2.5-0.5B", "SmolLM2-135M"])
def test_tied_head_is_adapted(model: str) -> None:
    [finding] = found(TIED, model, {"target_modules": ["q_proj", "lm_head"]})
    assert finding.message.startswith("lm_head shares its weight with model.embed_tokens.")
    assert "ensure_weight_tying" in finding.hint
    config = {"target_modules": ["q_proj", "lm_head"], "ensure_weight_tying": True}
    assert found(TIED, model, config) == ()


@pytest.mark.parametrize("field", ["target_modules", "modules_to_save"])
def test_both_halves_are_told_as_one(field: str) -> None:
    pair = ["embed_tokens", "lm_head"]
    config = {"target_modules": ["q_proj"]}
    config[field] = [*config.get(field, []), *pair]
    [finding] = found(TIED, "Qwen2.5-0.5B", config)
    assert "drift apart" in finding.message
    assert found(TIED, "Qwen2.5-0.5B", {**config, "ensure_weight_tying": True}) == ()


def test_tying_is_not_advised_where_it_does_not_work() -> None:
    # PEFT looks for the names `embed_tokens` and `lm_head` alone.
    [finding] = found(TIED, "GPT-2", {"target_modules": ["c_attn", "wte"]})
    assert finding.hint == "Leave it out, or untie the two before training."


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Gemma-2-9B", {"target_modules": "all-linear"}),
        ("Llama-3.1-8B", {"target_modules": ["q_proj", "lm_head", "embed_tokens"]}),
        ("Llama-3.1-8B", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
        ("GPT-2", {}),
        # Its blocks share weights with each other.
        ("zamba2", {"target_modules": ["q_proj", "v_proj"]}),
        ("T5-base", {}),
        ("BERT-base", {}),
        ("SmolLM2-135M", {"target_modules": ["q_proj"], "trainable_token_indices": [0, 1]}),
    ],
)
def test_nothing_tied_is_touched(model: str, config: dict[str, Any]) -> None:
    assert found(TIED, model, config) == ()


def test_whole_embedding_is_weighed() -> None:
    config = {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}
    [finding] = found(WHOLE, "Llama-3.1-8B", config)
    assert "1.96 GiB in bfloat16" in finding.message
    assert '{"embed_tokens": […], "lm_head": […]}' in finding.hint
    assert "16.0 KiB a token" in finding.hint
    assert finding.severity == "warning"


def test_tied_pair_is_written_once() -> None:
    config = {
        "target_modules": ["q_proj"],
        "modules_to_save": ["embed_tokens", "lm_head"],
        "ensure_weight_tying": True,
    }
    [finding] = found(WHOLE, "SmolLM2-135M", config)
    assert "28,311,552 parameters" in finding.message
    assert '{"embed_tokens": […]}' in finding.hint


def test_embedding_smaller_than_the_adapter_is_worth_knowing() -> None:
    config = {"r": 512, "target_modules": "all-linear", "modules_to_save": ["embed_tokens"]}
    [finding] = found(WHOLE, "SmolLM2-135M", config)
    assert finding.severity == "info"


def test_tool_without_a_key_for_single_tokens() -> None:
    text = (
        "model_name_or_path: x\nfinetuning_type: lora\nlora_target: q_proj\n"
        "additional_target: embed_tokens,lm_head\n"
    )
    [finding] = found(WHOLE, "Llama-3.1-8B", text, tool=Tool.LLAMAFACTORY)
    assert "llamafactory has no key for it" in finding.hint


@pytest.mark.parametrize(
    ("config", "task_type"),
    [
        ({"target_modules": ["q_proj", "embed_tokens"]}, None),
        ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, None),
        ({"target_modules": ["q_proj"], "trainable_token_indices": [1]}, None),
        ({"target_modules": ["q_proj"], "task_type": "SEQ_CLS"}, "SEQ_CLS"),
    ],
)
def test_no_embedding_is_saved_whole(config: dict[str, Any], task_type: str | None) -> None:
    assert found(WHOLE, "Llama-3.1-8B", config, task_type=task_type) == ()
