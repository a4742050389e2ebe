"""LT001 and LT002: entries that hit nothing, alone and among others; mlx-lm's exact paths."""

from __future__ import annotations

import pytest
from check_models import codes, findings, subject

from lorascope.checking import Example
from lorascope.core.recipe import Tool

MLX = """\
model: meta-llama/Llama-3.1-8B
num_layers: 16
lora_parameters:
  keys: [{keys}]
  rank: 8
  scale: 20.0
  dropout: 0.0
"""


def test_half_a_path_adapts_nothing_in_mlx_lm_and_is_told_with_the_whole() -> None:
    example = Example("Llama-3.1-8B", MLX.format(keys="self_attn.q_proj, v_proj"), Tool.MLX_LM)
    [finding] = findings(example)
    assert finding.code == "LT002"
    assert finding.entry == "v_proj"
    assert "self_attn.v_proj" in finding.hint
    assert finding.edits[0].value == ("self_attn.v_proj",)


def test_whole_paths_of_mlx_lm_are_fine() -> None:
    keys = "self_attn.q_proj, self_attn.v_proj"
    assert codes("Llama-3.1-8B", MLX.format(keys=keys), Tool.MLX_LM) == []


@pytest.mark.parametrize("names", [["attn_q"], ["attn_q", "ffn_up"]])
def test_nothing_at_all_is_told_once(names: list[str]) -> None:
    assert codes("Llama-3.1-8B", {"target_modules": names}) == ["LT001"]


def test_an_unknown_entry_beside_one_that_is_told_elsewhere_is_not_forgotten() -> None:
    found = codes("Phi-3-mini", {"target_modules": ["q_proj", "attn_x"]})
    assert sorted(found) == ["LT002", "LT010"]


def test_a_pattern_that_a_tool_makes_counts_for_the_word_that_asks_for_it() -> None:
    text = "swift sft --model m --target_modules all-linear"
    checked = subject(Example("Qwen2.5-VL-7B", text, Tool.MS_SWIFT))
    [entry] = checked.entries
    assert (entry.entry, entry.matched) == ("all-linear", len(checked.targets))
    assert entry.matched == 28 * 7


def test_upper_and_lower_case_alone_are_mended() -> None:
    [finding] = findings(Example("Llama-3.1-8B", {"target_modules": ["Q_proj", "v_proj"]}))
    assert (finding.code, finding.severity, finding.entry) == ("LT002", "warning", "Q_proj")
    assert finding.hint == "Write 'q_proj'."
    assert finding.edits[0].value == ("q_proj",)
    [listed] = findings(Example("Llama-3.1-8B", {"target_modules": ["Q_PROJ", "q_proj"]}))
    assert listed.hint == "'q_proj' is listed already; remove it."
    assert listed.edits[0].value == ()


def test_upper_and_lower_case_where_nothing_else_matches_is_an_error() -> None:
    names = {"target_modules": ["self_attn.Q_Proj", "attn_x"]}
    found = findings(Example("Llama-3.1-8B", names))
    assert [(each.code, each.severity) for each in found] == [
        ("LT002", "error"),
        ("LT002", "warning"),
    ]
    assert found[0].edits[0].value == ("self_attn.q_proj",)


def test_latent_attention_has_two_steps_for_what_others_make_in_one() -> None:
    checked = subject(Example("DeepSeek-V3", {"target_modules": ["q_proj", "k_proj", "v_proj"]}))
    assert {entry.entry: entry.nearest for entry in checked.entries} == {
        "q_proj": ("q_b_proj", "q_a_proj"),
        "k_proj": ("kv_b_proj", "kv_a_proj_with_mqa"),
        "v_proj": ("kv_b_proj", "kv_a_proj_with_mqa"),
    }
