"""Stacked factors of routed experts and single ones: the deltas of each expert are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trained_adapters import (
    adapt,
    assert_same,
    config_of,
    engine_deltas,
    pairs_of,
    peft_deltas,
    tensors_of,
    train,
)

from lorascope.core.errors import AdapterError
from lorascope.rewriting.layouts import expert_layout, layouts

EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
SINGLE = {
    "mixtral": ("block_sparse_moe.experts", "w1", "w3", "w2"),
    "qwen3_moe": ("mlp.experts", "gate_proj", "up_proj", "down_proj"),
}


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
@pytest.mark.parametrize("name", SINGLE)
def test_single_experts_have_the_deltas_of_the_stack(
    name: str, engine: str, tmp_path: Path
) -> None:
    config = {"r": 4, "target_modules": ["o_proj"], "target_parameters": EXPERTS}
    trained = train(name, tmp_path / "t", **config, rank_pattern={"down_proj": 2})
    served, done = adapt(trained, engine, name)
    found, wanted = engine_deltas(engine, served), peft_deltas(name, trained)
    holder, gate, up, down = SINGLE[name]
    layer = 1
    for expert in range(4):
        start = f"model.layers.{layer}.{holder}.{expert}."
        both = torch.cat([found[start + gate], found[start + up]])
        stack = f"model.layers.{layer}.mlp.experts."
        assert torch.allclose(both.float(), wanted[f"{stack}gate_up_proj"][expert], atol=1e-6)
        assert torch.allclose(
            found[start + down].float(), wanted[f"{stack}down_proj"][expert], atol=1e-6
        )
    assert done.rounding == 0
    assert_same(peft_deltas(name, served), wanted)


@pytest.mark.parametrize("name", SINGLE)
def test_single_experts_are_stacked_again(name: str, tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["o_proj"], "target_parameters": EXPERTS}
    trained = train(name, tmp_path / "t", **config)
    old, _ = adapt(trained, "vllm", name)
    new, done = adapt(old, "peft", name)
    assert_same(peft_deltas(name, new), peft_deltas(name, trained))
    assert {change.step.value for change in done.changes} >= {"experts"}
    # Gate and up have factors of their own there, so that the stack has both ranks.
    assert done.rank == 8
    assert config_of(new)["target_parameters"] == ["experts.down_proj", "experts.gate_up_proj"]


def test_single_experts_stay_as_they_are(tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["o_proj"], "target_parameters": EXPERTS}
    trained = train("mixtral", tmp_path / "t", **config)
    old, _ = adapt(trained, "vllm", "mixtral")
    again, done = adapt(old, "vllm", "mixtral")
    assert done.changes == ()
    first, second = tensors_of(old), tensors_of(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_peft_rewrites_old_names_and_lorascope_follows(tmp_path: Path) -> None:
    trained = train("mixtral", tmp_path / "t", r=4, target_modules=["w1", "w2", "w3", "gate"])
    served, done = adapt(trained, "vllm", "mixtral")
    found, wanted = engine_deltas("vllm", served), peft_deltas("mixtral", trained)
    start = "model.layers.0.block_sparse_moe."
    both = torch.cat([found[f"{start}experts.2.w1"], found[f"{start}experts.2.w3"]])
    stack = wanted["model.layers.0.mlp.experts.gate_up_proj"][2]
    assert torch.allclose(both.float(), stack, atol=1e-6)
    router = wanted["model.layers.0.mlp.gate.weight"]
    assert torch.allclose(found[f"{start}gate"].float(), router, atol=1e-6)
    assert_same(peft_deltas("mixtral", served), wanted)
    assert done.rank == 8


def test_vllm_reads_gpt_oss_stacked(tmp_path: Path) -> None:
    """vLLM tells both apart by `base_layer` in the name, and wants both.

    Source: lora/model_manager.py, `_stack_moe_lora_weights`.
    """
    trained = train("gpt_oss", tmp_path / "t", r=4, target_parameters=[EXPERTS[0]])
    assert not any("base_layer" in name for name in tensors_of(trained))
    served, done = adapt(trained, "vllm", "gpt_oss")
    pairs = pairs_of(served)
    wanted = peft_deltas("gpt_oss", trained)
    holder = "model.layers.0.mlp.experts"
    a, b = pairs[f"{holder}.base_layer"]
    a, b = a.reshape(4, -1, a.shape[-1]), b.reshape(b.shape[0], -1, 4).permute(2, 0, 1)
    deltas = (done.alpha / done.rank) * (b @ a)  # (experts, out, in)
    stack = wanted[f"{holder}.gate_up_proj"].transpose(1, 2)
    assert torch.allclose(deltas.float(), stack, atol=1e-6)
    assert not pairs[holder][1].any()
    assert_same(peft_deltas("gpt_oss", served), wanted)


@pytest.mark.parametrize("engine", ["tgi", "lorax"])
def test_engines_without_experts_refuse_them(engine: str, tmp_path: Path) -> None:
    config = {"r": 4, "target_modules": ["q_proj"], "target_parameters": EXPERTS}
    trained = train("mixtral", tmp_path / "t", **config)
    with pytest.raises(AdapterError, match="leaves it out without an error") as caught:
        adapt(trained, engine, "mixtral")
    assert "--drop expert_parameters" in (caught.value.hint or "")
    served, done = adapt(trained, engine, "mixtral", drop=["expert_parameters"])
    assert {name.rpartition(".")[2] for name in pairs_of(served)} == {"q_proj"}
    assert done.changes[0].step.value == "dropped"
    assert len(done.changes[0].paths) == 8


def test_types_whose_single_experts_are_not_known_are_refused(tmp_path: Path) -> None:
    trained = train("gpt_oss", tmp_path / "t", r=4, target_parameters=EXPERTS)
    with pytest.raises(AdapterError, match="single experts of gpt_oss are named is not known"):
        adapt(trained, "sglang", "gpt_oss")


def test_layouts_are_those_of_transformers() -> None:
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping
    from transformers.core_model_loading import WeightConverter

    for row in layouts().experts:
        for model_type in row.types:
            entries = get_checkpoint_conversion_mapping(model_type)
            found: dict[str, list[str]] = {}
            renames = {}
            for entry in entries:
                [new] = entry.target_patterns[:1]
                if isinstance(entry, WeightConverter):
                    last = new.rpartition(".")[2]
                    names = [old.split(".")[-2] for old in entry.source_patterns if ".*." in old]
                    found.setdefault(last, []).extend(names)
                else:
                    renames[entry.source_patterns[0].replace("\\", "")] = new
            assert found["gate_up_proj"] == [row.gate, row.up], model_type
            assert found["down_proj"] == [row.down], model_type
            assert renames.get(".block_sparse_moe.", "") == row.holder_new, model_type


def test_every_layout_is_asked_for_once() -> None:
    types = [name for row in layouts().experts for name in row.types]
    assert len(types) == len(set(types))
    assert expert_layout("llama") is None
