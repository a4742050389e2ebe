"""Whether a module's forward ran, or only its weight was read, or neither."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scrambled import RaisesHalfway
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lorascope.core.observation import Call, Observation
from lorascope.core.roles import Role
from lorascope.observe import observe


def seen_of(model_type: str, **settings: Any) -> Observation:
    config = AutoConfig.for_model(model_type, **settings)
    with torch.device("meta"):
        return observe(AutoModelForCausalLM.from_config(config))


def read_directly(seen: Observation) -> set[str]:
    return {path for path, m in seen.modules.items() if m.call is Call.READ_DIRECTLY}


@pytest.mark.parametrize(
    ("model_type", "settings", "mixer"),
    [
        ("mamba", {"num_hidden_layers": 1, "hidden_size": 64}, "backbone.layers.0.mixer"),
        ("falcon_mamba", {"num_hidden_layers": 1, "hidden_size": 64}, "backbone.layers.0.mixer"),
        ("jamba", {"num_hidden_layers": 1, "hidden_size": 64}, "model.layers.0.mamba"),
    ],
)
def test_dt_proj_is_read_directly(model_type: str, settings: dict[str, Any], mixer: str) -> None:
    seen = seen_of(model_type, **settings)
    assert seen.reason is None
    assert read_directly(seen) == {f"{mixer}.dt_proj", f"{mixer}.conv1d"}
    assert seen.modules[f"{mixer}.in_proj"].call is Call.CALLED


def test_every_module_of_a_plain_model_is_called() -> None:
    seen = seen_of("llama", num_hidden_layers=1)
    assert {module.call for module in seen.modules.values()} == {Call.CALLED}


def test_stacked_experts_are_called() -> None:
    seen = seen_of("mixtral", num_hidden_layers=1)
    assert {module.call for module in seen.modules.values()} == {Call.CALLED}


def test_a_tied_head_and_embedding_are_both_called() -> None:
    seen = seen_of("gpt2", n_layer=1, tie_word_embeddings=True)
    assert seen.modules["lm_head"].call is Call.CALLED
    assert seen.modules["transformer.wte"].call is Call.CALLED


class TiedByHand(nn.Module):
    """A head whose weight the model reads as the embedding's, without any call of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(self.embedding(input_ids), self.embedding.weight)


def test_a_tied_weight_read_for_another_module_says_nothing_of_this_one() -> None:
    seen = observe(TiedByHand())
    assert seen.modules["embedding"].call is Call.CALLED
    assert seen.modules["head"].call is Call.NOT_REACHED


class WithTorchAttention(nn.Module):
    """PyTorch's own attention between an embedding and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.unused = nn.Linear(4, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(input_ids)
        hidden = hidden + self.attention(hidden, hidden, hidden, need_weights=False)[0]
        assert self.unused.weight.dtype is hidden.dtype
        return self.layer(hidden)


def test_the_output_projection_of_torch_attention_is_read_directly() -> None:
    seen = observe(WithTorchAttention())
    assert seen.reason is None
    assert read_directly(seen) == {"attention.out_proj", "layer.self_attn.out_proj"}
    assert seen.modules["attention"].call is Call.CALLED
    assert seen.modules["layer.linear1"].call is Call.CALLED
    assert seen.modules["attention"].role is Role.ATTENTION_QKVO
    assert seen.modules["layer.linear2"].role is Role.FFN_DOWN


def test_asking_for_a_weights_type_is_no_read() -> None:
    assert observe(WithTorchAttention()).modules["unused"].call is Call.NOT_REACHED


def test_a_pass_that_raised_does_not_call_a_module_dead() -> None:
    seen = observe(RaisesHalfway())
    assert seen.is_partial
    assert seen.reason is not None
    assert "no such shape" in seen.reason
    assert seen.modules["first"].call is Call.CALLED
    assert seen.modules["second"].call is Call.NOT_REACHED
