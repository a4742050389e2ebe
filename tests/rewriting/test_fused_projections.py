"""Fused projections taken apart and put together: the deltas are those rows, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from trained_adapters import (
    adapt,
    assert_same,
    engine_deltas,
    pairs_of,
    peft_deltas,
    peft_deltas_on,
    tiny_models,
    train,
    train_on,
)

import lorascope
from lorascope.core.errors import AdapterError
from lorascope.rewriting.fused import read_fusion
from lorascope.rewriting.layouts import fused_parts

QKV = "qkv_proj=q_proj,k_proj,v_proj"
GATE_UP = "gate_up_proj=gate_proj,up_proj"


def test_phi3_is_split(tmp_path: Path) -> None:
    trained = train("phi3", tmp_path / "t", r=4, target_modules=["qkv_proj", "gate_up_proj"])
    served, done = adapt(trained, "sglang", "phi3", split=["qkv_proj", "gate_up_proj"])
    found, wanted = engine_deltas("sglang", served), peft_deltas("phi3", trained)
    for layer in range(4):
        start = f"model.layers.{layer}."
        q, k, v = (found[f"{start}self_attn.{name}_proj"] for name in "qkv")
        assert (len(q), len(k), len(v)) == (32, 16, 16)
        whole = wanted[f"{start}self_attn.qkv_proj.weight"]
        assert torch.allclose(torch.cat([q, k, v]).float(), whole)
        gate, up = found[f"{start}mlp.gate_proj"], found[f"{start}mlp.up_proj"]
        assert torch.allclose(
            torch.cat([gate, up]).float(), wanted[f"{start}mlp.gate_up_proj.weight"]
        )
    assert done.rounding == 0
    assert done.changes[0].text == (
        "4 pairs of qkv_proj split into q_proj, k_proj, v_proj: A copied, B cut."
    )
    assert "PEFT itself cannot load it on this model" in done.notes[0]


def test_split_attention_of_gpt2_has_equal_thirds(tmp_path: Path) -> None:
    trained = train("gpt2", tmp_path / "t", r=4, target_modules=["c_attn"], fan_in_fan_out=True)
    served, _ = adapt(trained, "llama.cpp", "gpt2", split=["c_attn"])
    found, wanted = engine_deltas("llama.cpp", served), peft_deltas("gpt2", trained)
    parts = [found[f"transformer.h.0.attn.{name}_proj"] for name in "qkv"]
    assert torch.allclose(torch.cat(parts).T.float(), wanted["transformer.h.0.attn.c_attn.weight"])


def test_packed_parts_are_those_rows_and_zeros(tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj"]}
    trained = train("llama", tmp_path / "t", **config, rank_pattern={"v_proj": 3})
    served, done = adapt(trained, "llama.cpp", "llama", pack=[QKV, GATE_UP])
    found, wanted = engine_deltas("llama.cpp", served), peft_deltas("llama", trained)
    for layer in range(4):
        start = f"model.layers.{layer}."
        packed = found[f"{start}self_attn.qkv_proj"]
        q, k, v = packed.split([32, 16, 16])
        assert torch.allclose(q.float(), wanted[f"{start}self_attn.q_proj.weight"])
        assert not k.any()
        assert torch.allclose(v.float(), wanted[f"{start}self_attn.v_proj.weight"])
    assert done.rank == 8  # gate and up together


def test_taken_apart_again_it_is_the_same(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "t", r=4, target_modules=["q_proj", "k_proj", "v_proj"])
    served, _ = adapt(trained, "llama.cpp", "llama", pack=[QKV], split=[], rank=16)
    wanted = engine_deltas("llama.cpp", trained)
    rows = {"q_proj": slice(0, 32), "k_proj": slice(32, 48), "v_proj": slice(48, 64)}
    packed = engine_deltas("llama.cpp", served)
    apart = {
        f"model.layers.{layer}.self_attn.{name}": packed[
            f"model.layers.{layer}.self_attn.qkv_proj"
        ][at]
        for layer in range(4)
        for name, at in rows.items()
    }
    assert_same(apart, wanted)


def test_fused_projection_is_padded_as_it_is(tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["qkv_proj", "o_proj"], "rank_pattern": {"o_proj": 2}}
    trained = train("phi3", tmp_path / "t", **config)
    served, _ = adapt(trained, "lorax", "phi3")
    assert_same(peft_deltas("phi3", served), peft_deltas("phi3", trained))
    assert {a.shape[0] for a, _ in pairs_of(served).values()} == {8}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": ["qkv_proj"]}, "What qkv_proj of llama consists of is not known"),
        ({"split": ["q_proj=a,b"]}, "How the rows of model.layers.0.self_attn.q_proj are laid out"),
        ({"split": ["q_proj=a:30,b:3"]}, "q_proj has 32 rows, and its parts together 33"),
        ({"split": ["o_proj=a:16,b:16"]}, "No o_proj is adapted"),
        ({"pack": ["x=o_proj,k_proj"]}, "None of o_proj, k_proj is adapted"),
        ({"pack": ["x=q_proj,up_proj"]}, "is not adapted and not in"),
        ({"pack": ["qkv_proj"]}, "None of qkv_proj is adapted"),
        ({"pack": ["x=q_proj:30,k_proj:16"]}, "q_proj has 32 rows, and 30 are given"),
        ({"pack": ["x=q_proj:32,k_proj:17"]}, "k_proj has 16 rows, and 17 are given"),
        ({"pack": ["x=q_proj,q_proj"]}, "names q_proj twice"),
        ({"pack": ["q_proj=q_proj,k_proj"]}, "names q_proj twice"),
        ({"pack": ["o_proj=q_proj,k_proj"]}, "has 32 rows, and q_proj, k_proj together 48"),
    ],
)
def test_what_cannot_be_split_or_packed(
    options: dict[str, list[str]], message: str, tmp_path: Path
) -> None:
    trained = train("llama", tmp_path / "t", r=4, target_modules=["q_proj"])
    with pytest.raises(AdapterError, match=message):
        adapt(trained, "llama.cpp", "llama", **options)


def test_vllm_has_glm4_in_parts(tmp_path: Path) -> None:
    """transformers has gate and up of GLM-4 fused, vLLM's class expects them apart."""
    config = transformers.Glm4Config(
        **{**tiny_models.config("llama").to_dict(), "model_type": "glm4", "pad_token_id": 0}
    )
    model = _new(config)
    known = lorascope.inspect(model, observe=False)
    trained = train_on(model, tmp_path / "t", r=4, target_modules=["q_proj", "gate_up_proj"])
    served = tmp_path / "served"
    done = lorascope.adapt(trained, "vllm", served, model=known)
    found = engine_deltas("vllm", served)
    start = "model.layers.1.mlp."
    both = torch.cat([found[f"{start}gate_proj"], found[f"{start}up_proj"]])
    wanted = peft_deltas_on(_new(config), trained)
    assert torch.allclose(both.float(), wanted[f"{start}gate_up_proj.weight"])
    assert done.changes[0].step.value == "split"


def _new(config: Any) -> nn.Module:
    torch.manual_seed(0)
    return transformers.Glm4ForCausalLM(config)


@pytest.mark.parametrize("name", ["Phi3", "Glm4", "Glm"])
def test_gate_comes_before_up(name: str) -> None:
    values = tiny_models.config("llama").to_dict() | {"pad_token_id": 0}
    config = getattr(transformers, f"{name}Config")(**{**values, "model_type": name.lower()})
    mlp = getattr(transformers, f"{name}Model")(config).layers[0].mlp
    gate, up = mlp.gate_up_proj.weight.chunk(2)
    assert fused_parts(name.lower(), "gate_up_proj") == ("gate_proj", "up_proj")
    states = torch.randn(3, config.hidden_size)
    wanted = mlp.down_proj(nn.functional.silu(states @ gate.T) * (states @ up.T))
    assert torch.allclose(mlp(states), wanted, atol=1e-6)


def test_parts_that_the_engine_does_not_have(tmp_path: Path) -> None:
    trained = train("phi3", tmp_path / "t", r=4, target_modules=["qkv_proj"])
    with pytest.raises(AdapterError, match=r"vLLM .* adapts no q_proj, k_proj, v_proj in Phi3For"):
        adapt(trained, "vllm", "phi3", split=[QKV])


@pytest.mark.parametrize("text", ["", "=q,k", "qkv=q", "qkv=q:1,k", "a b=c;d", "q/../k=a,b"])
def test_fusions_that_cannot_be_read(text: str) -> None:
    with pytest.raises(AdapterError, match="names no fused projection and its parts"):
        read_fusion(text)
