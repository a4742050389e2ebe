"""Roles of feed-forward blocks and experts by data flow, on real classes and on scrambled names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scrambled import Scrambled
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from lorascope.core.roles import Role
from lorascope.observe import observe

Q, K, V, O = Role.ATTENTION_Q, Role.ATTENTION_K, Role.ATTENTION_V, Role.ATTENTION_O  # noqa: E741
GATE, UP, GATE_UP, DOWN = Role.FFN_GATE, Role.FFN_UP, Role.FFN_GATE_UP, Role.FFN_DOWN
EXPERTS = {
    "experts.gate_up_proj": Role.MOE_EXPERTS_GATE_UP,
    "experts.down_proj": Role.MOE_EXPERTS_DOWN,
}


def on_meta(model_type: str, auto_class: Any = AutoModelForCausalLM, **settings: Any) -> nn.Module:
    config = AutoConfig.for_model(model_type, **settings)
    with torch.device("meta"):
        return auto_class.from_config(config)


def roles_below(model: nn.Module, block: str) -> dict[str, Role | None]:
    seen = observe(model)
    assert seen.reason is None
    return {
        path.removeprefix(f"{block}."): module.role
        for path, module in seen.modules.items()
        if path.startswith(f"{block}.")
    }


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_scrambled_names_do_not_mislead(device: str) -> None:
    with torch.device(device):
        model = Scrambled()
    assert {
        path: module.role for path, module in observe(model).modules.items() if module.role
    } == {
        **{
            f"stuff.{index}.xx.{name}": role
            for index in range(4)
            for name, role in (("k_proj", Q), ("o_proj", K), ("w", V), ("gate", O))
        },
        "stuff.0.yy.q_proj": UP,
        "stuff.0.yy.gate_proj": DOWN,
        "stuff.1.yy.up_proj": GATE,
        "stuff.1.yy.v": UP,
        "stuff.1.yy.k_proj": DOWN,
        "stuff.2.yy.o": GATE_UP,
        "stuff.2.yy.router": DOWN,
        "stuff.3.yy.down": Role.MOE_ROUTER,
        "stuff.3.yy.a": Role.MOE_EXPERTS_GATE_UP,
        "stuff.3.yy.b": Role.MOE_EXPERTS_DOWN,
        "stuff.3.yy.v": Role.MOE_SHARED_ROUTER,
        "stuff.3.yy.q.up_proj": Role.MOE_SHARED_GATE,
        "stuff.3.yy.q.v": Role.MOE_SHARED_UP,
        "stuff.3.yy.q.k_proj": Role.MOE_SHARED_DOWN,
    }


@pytest.mark.parametrize(
    ("model_type", "settings", "block", "expected"),
    [
        (
            "llama",
            {"num_hidden_layers": 2},
            "model.layers.1.mlp",
            {"gate_proj": GATE, "up_proj": UP, "down_proj": DOWN},
        ),
        (
            "gemma2",
            {"num_hidden_layers": 1},
            "model.layers.0.mlp",
            {"gate_proj": GATE, "up_proj": UP, "down_proj": DOWN},
        ),
        ("gpt2", {"n_layer": 2}, "transformer.h.1.mlp", {"c_fc": UP, "c_proj": DOWN}),
        (
            "bloom",
            {"n_layer": 1},
            "transformer.h.0.mlp",
            {"dense_h_to_4h": UP, "dense_4h_to_h": DOWN},
        ),
        (
            "falcon",
            {"num_hidden_layers": 1},
            "transformer.h.0.mlp",
            {"dense_h_to_4h": UP, "dense_4h_to_h": DOWN},
        ),
        (
            "phi3",
            {"num_hidden_layers": 1, "pad_token_id": 0},
            "model.layers.0.mlp",
            {"gate_up_proj": GATE_UP, "down_proj": DOWN},
        ),
        (
            "cohere",
            {"num_hidden_layers": 1},
            "model.layers.0.mlp",
            {"gate_proj": GATE, "up_proj": UP, "down_proj": DOWN},
        ),
        ("mixtral", {"num_hidden_layers": 1}, "model.layers.0.mlp", EXPERTS),
        ("gpt_oss", {"num_hidden_layers": 1}, "model.layers.0.mlp", EXPERTS),
        (
            "qwen2_moe",
            {"num_hidden_layers": 1},
            "model.layers.0.mlp",
            {
                **EXPERTS,
                "shared_expert.gate_proj": Role.MOE_SHARED_GATE,
                "shared_expert.up_proj": Role.MOE_SHARED_UP,
                "shared_expert.down_proj": Role.MOE_SHARED_DOWN,
                "shared_expert_gate": Role.MOE_SHARED_ROUTER,
            },
        ),
        (
            "deepseek_v3",
            {"num_hidden_layers": 4},
            "model.layers.3.mlp",
            {
                **EXPERTS,
                "shared_experts.gate_proj": Role.MOE_SHARED_GATE,
                "shared_experts.up_proj": Role.MOE_SHARED_UP,
                "shared_experts.down_proj": Role.MOE_SHARED_DOWN,
            },
        ),
    ],
)
def test_families_are_seen_as_they_are(
    model_type: str, settings: dict[str, Any], block: str, expected: dict[str, Role]
) -> None:
    assert roles_below(on_meta(model_type, **settings), block) == expected


@pytest.mark.parametrize(
    ("form", "inner"),
    [("relu", {"wi": UP, "wo": DOWN}), ("gated-gelu", {"wi_0": GATE, "wi_1": UP, "wo": DOWN})],
)
def test_t5_with_and_without_a_gate(form: str, inner: dict[str, Role]) -> None:
    model = on_meta(
        "t5", AutoModelForSeq2SeqLM, num_layers=1, num_decoder_layers=1, feed_forward_proj=form
    )
    for block in ("encoder.block.0.layer.1", "decoder.block.0.layer.2"):
        assert roles_below(model, f"{block}.DenseReluDense") == inner


def test_bart_in_encoder_and_decoder() -> None:
    model = on_meta("bart", AutoModelForSeq2SeqLM, encoder_layers=1, decoder_layers=1)
    attention = {"q_proj": Q, "k_proj": K, "v_proj": V, "out_proj": O}
    feed_forward = {"fc1": UP, "fc2": DOWN}
    self_attention = {f"self_attn.{name}": role for name, role in attention.items()}
    assert roles_below(model, "model.encoder.layers.0") == self_attention | feed_forward
    assert roles_below(model, "model.decoder.layers.0") == (
        self_attention
        | {f"encoder_attn.{name}": role for name, role in attention.items()}
        | feed_forward
    )


def test_a_state_space_mixer_is_no_feed_forward() -> None:
    """Its input is split, one half activated, and both multiplied, but positions are mixed."""
    model = on_meta("mamba", num_hidden_layers=1, hidden_size=64)
    assert set(roles_below(model, "backbone.layers.0.mixer").values()) == {None}


class Pooled(nn.Module):
    """Two layers with an activation between, whose output is not added to anything."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.dense = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.dense(self.embedding(input_ids))))


def test_a_head_is_no_feed_forward() -> None:
    assert {module.role for module in observe(Pooled()).modules.values()} == {None}
