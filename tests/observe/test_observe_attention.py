"""What one forward pass shows of attention, on models small and odd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scrambled import Raises
from torch import nn
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from lorascope.core.roles import Role
from lorascope.observe import observe
from lorascope.observe.attempts import IMPLEMENTATION

Q, K, V, O = Role.ATTENTION_Q, Role.ATTENTION_K, Role.ATTENTION_V, Role.ATTENTION_O  # noqa: E741


def on_meta(model_type: str, auto_class: Any = AutoModelForCausalLM, **settings: Any) -> nn.Module:
    config = AutoConfig.for_model(model_type, **settings)
    with torch.device("meta"):
        return auto_class.from_config(config)


def roles_below(model: nn.Module, block: str) -> dict[str, Role]:
    observation = observe(model)
    assert observation.reason is None
    return {
        path.removeprefix(f"{block}."): module.role
        for path, module in observation.modules.items()
        if path.startswith(f"{block}.") and module.role is not None
    }


@pytest.mark.parametrize(
    ("model_type", "settings", "block", "expected"),
    [
        (
            "llama",
            {"num_hidden_layers": 2},
            "model.layers.1.self_attn",
            {"q_proj": Q, "k_proj": K, "v_proj": V, "o_proj": O},
        ),
        (
            "gpt2",
            {"n_layer": 2},
            "transformer.h.1.attn",
            {"c_attn": Role.ATTENTION_QKV, "c_proj": O},
        ),
        (
            "bloom",
            {"n_layer": 2},
            "transformer.h.1.self_attention",
            {"query_key_value": Role.ATTENTION_QKV, "dense": O},
        ),
        (
            "deepseek_v3",
            {"num_hidden_layers": 2},
            "model.layers.1.self_attn",
            {
                "q_a_proj": Role.ATTENTION_Q_A,
                "q_b_proj": Role.ATTENTION_Q_B,
                "kv_a_proj_with_mqa": Role.ATTENTION_KV_A,
                "kv_b_proj": Role.ATTENTION_KV_B,
                "o_proj": O,
            },
        ),
    ],
)
def test_families_are_seen_as_they_are(
    model_type: str, settings: dict[str, Any], block: str, expected: dict[str, Role]
) -> None:
    seen = roles_below(on_meta(model_type, **settings), block)
    assert {name: seen.get(name) for name in expected} == expected


def test_cross_attention_is_seen_beside_self_attention() -> None:
    model = on_meta("t5", AutoModelForSeq2SeqLM, num_layers=1, num_decoder_layers=1)
    expected = {"q": Q, "k": K, "v": V, "o": O}
    for place in (
        "encoder.block.0.layer.0.SelfAttention",
        "decoder.block.0.layer.0.SelfAttention",
        "decoder.block.0.layer.1.EncDecAttention",
    ):
        assert roles_below(model, place) == expected


def test_the_model_itself_is_left_as_it_was() -> None:
    config = AutoConfig.for_model(
        "llama", num_hidden_layers=1, hidden_size=32, intermediate_size=32, vocab_size=64,
        num_attention_heads=4, num_key_value_heads=4,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").train()
    weight = model.lm_head.weight.detach().clone()
    assert observe(model).attentions == 1
    assert model.training
    assert model.config._attn_implementation == "sdpa"
    assert model.lm_head.weight.device.type == "cpu"
    assert torch.equal(model.lm_head.weight, weight)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert IMPLEMENTATION not in AttentionInterface._global_mapping


def test_a_forward_pass_that_raises_gives_the_reason() -> None:
    observation = observe(Raises())
    assert {module.role for module in observation.modules.values()} <= {None}
    assert observation.reason is not None
    assert "ValueError: no such day" in observation.reason


def test_a_model_that_takes_no_tokens_gives_the_reason() -> None:
    observation = observe(nn.Linear(4, 4))
    assert observation.reason == "its forward takes no input_ids but input"
