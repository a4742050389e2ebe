"""Linears that are reached through their weight, for engines that read `target_modules` alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from trained_adapters import (
    adapt,
    assert_same,
    config_of,
    peft_deltas,
    tensors_of,
    train,
)

MLP = [f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_they_are_said_as_modules(engine: str, tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "t", r=4, target_modules=[], target_parameters=MLP)
    served, done = adapt(trained, engine, "llama")
    fields = config_of(served)
    assert fields["target_modules"] == ["down_proj", "gate_proj", "up_proj"]
    assert fields["target_parameters"] is None
    assert tensors_of(served).keys() == tensors_of(trained).keys()
    assert_same(peft_deltas("llama", served), peft_deltas("llama", trained))
    assert done.changes[0].text == "12 weights of linears said as target_modules."


def test_where_peft_takes_the_names_for_experts(tmp_path: Path) -> None:
    trained = train("deepseek_v3", tmp_path / "t", r=4, target_modules=[], target_parameters=MLP)
    served, done = adapt(trained, "sglang", "deepseek_v3")
    assert config_of(served)["target_modules"] == ["down_proj", "gate_proj", "up_proj"]
    assert tensors_of(served).keys() == tensors_of(trained).keys()
    assert "which PEFT takes for other modules there" in done.notes[0]
    served, done = adapt(trained, "vllm", "deepseek_v3")
    assert_same(peft_deltas("deepseek_v3", served), peft_deltas("deepseek_v3", trained))
    assert done.changes == ()


def test_peft_reads_both(tmp_path: Path) -> None:
    trained = train("llama", tmp_path / "t", r=4, target_modules=[], target_parameters=MLP)
    _, done = adapt(trained, "peft", "llama")
    assert done.changes == ()
