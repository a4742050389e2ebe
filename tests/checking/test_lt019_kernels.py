"""LT019 to LT021: modules where what PEFT adds is never computed, or is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from one_rule import found

from lorascope.checking.rules.lt019_state_space_kernel import RULE as KERNEL
from lorascope.checking.rules.lt020_forward_never_called import RULE as UNCALLED
from lorascope.checking.rules.lt021_not_affine import RULE as OTHER
from lorascope.core.recipe import Edit, Tool

REMOVED = (Edit("target_modules", "out_proj", ()),)


@pytest.mark.parametrize("model", ["Falcon-H1-0.5B", "Mamba-2.8B"])
def test_peft_refuses(model: str) -> None:
    [finding] = found(KERNEL, model, {"target_modules": ["in_proj", "out_proj"]})
    assert (finding.severity, finding.edits) == ("error", REMOVED)
    assert "PEFT refuses" in finding.message


@pytest.mark.parametrize("model", ["bamba", "zamba2", "granitemoehybrid"])
def test_peft_is_silent(model: str) -> None:
    [finding] = found(KERNEL, model, {"target_modules": ["in_proj", "out_proj"]})
    assert (finding.severity, finding.edits) == ("error", REMOVED)
    assert "PEFT does not refuse" in finding.message


def test_convolution_is_told_here_and_not_twice() -> None:
    config = {"target_modules": ["in_proj", "conv1d"], "rank_pattern": {"conv1d": 8192}}
    [finding] = found(KERNEL, "Jamba", config)
    assert finding.entry == "conv1d"
    assert found(UNCALLED, "Jamba", config) == ()


def test_among_many_others_it_is_a_warning() -> None:
    [finding] = found(KERNEL, "bamba", {"target_modules": "all-linear"})
    assert finding.severity == "warning"
    config = {"target_modules": "all-linear", "exclude_modules": ["out_proj"]}
    assert 'exclude_modules: ["out_proj"]' in finding.hint
    assert found(KERNEL, "bamba", config) == ()


def test_projection_that_some_ways_call_is_a_warning() -> None:
    [finding] = found(KERNEL, "Mamba-2.8B", {"target_modules": ["in_proj", "x_proj"]})
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        # Jamba's kernel takes none of these; a forward pass shows that they are called.
        ("Jamba", ["in_proj", "x_proj", "out_proj"]),
        ("Mamba-2.8B", ["in_proj"]),
        ("Falcon-H1-0.5B", ["q_proj", "o_proj", "in_proj"]),
        # Names of attention and of plain linears.
        ("OPT-1.3B", ["out_proj"]),
        ("CLIP-ViT-B-32", ["out_proj"]),
        ("Qwen3-Next-80B", ["in_proj_qkvz", "out_proj"]),
    ],
)
def test_no_kernel(model: str, targets: list[str]) -> None:
    assert found(KERNEL, model, {"target_modules": targets}) == ()


@pytest.mark.parametrize("model", ["Jamba", "Mamba-2.8B"])
def test_projection_of_the_step_size_is_never_called(model: str) -> None:
    [finding] = found(UNCALLED, model, {"target_modules": ["in_proj", "dt_proj"]})
    assert finding.severity == "error"
    assert finding.edits == (Edit("target_modules", "dt_proj", ()),)


def test_projections_that_a_function_reads() -> None:
    # WavLM hands their weights to `F.multi_head_attention_forward`.
    findings = found(UNCALLED, "wavlm", {"target_modules": ["q_proj", "out_proj"]})
    assert {finding.entry for finding in findings} == {"q_proj", "out_proj"}
    assert {finding.severity for finding in findings} == {"error"}
    # To remove both would leave no target.
    assert all(finding.edits == () for finding in findings)


def test_full_names_are_told_together() -> None:
    names = [f"model.layers.{layer}.mamba.dt_proj" for layer in (0, 1, 2)]
    [finding] = found(UNCALLED, "Jamba", {"target_modules": ["q_proj", *names]})
    assert [edit.entry for edit in finding.edits] == names


def test_only_target_is_not_edited_away() -> None:
    [finding] = found(UNCALLED, "Jamba", {"target_modules": ["dt_proj"]})
    assert (finding.severity, finding.edits) == ("error", ())


def test_output_of_a_multihead_attention() -> None:
    config: dict[str, Any] = {"target_modules": ["q_proj", "multihead_attn.out_proj"]}
    [finding] = found(UNCALLED, "aria", config)
    assert finding.severity == "error"
    assert '["multihead_attn"]' in finding.hint
    config["target_modules"][1] = "multihead_attn"
    assert found(UNCALLED, "aria", config) == ()


@pytest.mark.parametrize(
    ("model", "severity"), [("Jamba", "warning"), ("Mamba-2.8B", "warning"), ("aria", "info")]
)
def test_part_of_all_linear(model: str, severity: str) -> None:
    [finding] = found(UNCALLED, model, {"target_modules": "all-linear"})
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("Jamba", ["in_proj", "x_proj", "q_proj"]),
        ("OPT-1.3B", ["out_proj"]),
        ("Llama-3.1-8B", "all-linear"),
        # A stacked parameter has no forward; PEFT adapts it in its own way.
        ("Qwen3-30B-A3B", ["gate_proj", "up_proj", "down_proj"]),
    ],
)
def test_all_are_called(model: str, targets: Any) -> None:
    assert found(UNCALLED, model, {"target_modules": targets}) == ()


def test_grouped_linear_among_all() -> None:
    [finding] = found(OTHER, "deepseek_v4", {"target_modules": "all-linear"})
    assert finding.severity == "error"
    assert "DeepseekV4GroupedLinear" in finding.message
    config = {"target_modules": "all-linear", "exclude_modules": ["o_a_proj"]}
    assert found(OTHER, "deepseek_v4", config) == ()


def test_hint_lists_targets_where_a_tool_has_no_exclusions() -> None:
    text = (
        "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
        "lora_target_modules: '.*\\.(q_a_proj|o_a_proj)'\n"
    )
    [finding] = found(OTHER, "deepseek_v4", text, tool=Tool.AXOLOTL)
    assert finding.hint == 'List the targets without: ["q_a_proj"].'


@pytest.mark.parametrize("model", ["DeepSeek-V3", "Llama-3.1-8B", "GPT-2", "Gemma-3-4B"])
def test_plain_linears(model: str) -> None:
    assert found(OTHER, model, {"target_modules": "all-linear"}) == ()
