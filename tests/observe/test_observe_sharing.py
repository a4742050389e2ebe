"""Which modules read the very same tensor, and whether autograd keeps it anyway."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lorascope.core.observation import Observed
from lorascope.observe import observe

SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "pad_token_id": 0,
}


def seen_of(model_type: str, **settings: Any) -> dict[str, Observed]:
    config = AutoConfig.for_model(model_type, **(SMALL | settings))
    with torch.device("meta"):
        seen = observe(AutoModelForCausalLM.from_config(config))
    assert seen.reason is None
    return {
        path.removeprefix("model.layers.1."): module
        for path, module in seen.modules.items()
        if path.startswith("model.layers.1.")
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_llama(dtype: str) -> None:
    layer = seen_of("llama", dtype=dtype)
    groups = [
        layer[name].input_group
        for name in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
    ]
    assert len(set(groups)) == 4
    assert layer["self_attn.k_proj"].input_group == layer["self_attn.v_proj"].input_group
    assert layer["self_attn.k_proj"].input_group == groups[0]
    assert layer["mlp.up_proj"].input_group == groups[2]
    assert {name for name, module in layer.items() if module.input_kept} == {"self_attn.o_proj"}


def test_attention_that_is_not_fused_keeps_no_output() -> None:
    assert seen_of("gpt_oss")["self_attn.o_proj"].input_kept is False


def test_a_parallel_block_reads_one_input() -> None:
    layer = seen_of("cohere")
    assert layer["self_attn.q_proj"].input_group == layer["mlp.gate_proj"].input_group


def test_relu_keeps_what_down_reads() -> None:
    config = AutoConfig.for_model("opt", num_hidden_layers=1, ffn_dim=64)
    with torch.device("meta"):
        seen = observe(AutoModelForCausalLM.from_config(config)).modules
    assert seen["model.decoder.layers.0.fc2"].input_kept is True
    assert seen["model.decoder.layers.0.fc1"].input_kept is False


class Rewritten(nn.Module):
    """Two layers read one tensor, but it is written to in between."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.third = nn.Linear(4, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(input_ids)
        made = self.first(hidden)
        hidden.add_(1)
        return made + self.second(hidden) + self.third(hidden.view(-1, 4)).view(made.shape)


def test_a_tensor_that_was_written_to_is_another() -> None:
    seen = observe(Rewritten()).modules
    assert seen["first"].input_group != seen["second"].input_group
    assert seen["second"].input_group == seen["third"].input_group
