"""The rows of what is adapted add up, also where a tool's setting adds to the list."""

from __future__ import annotations

import pytest
from check_models import subject

from lorascope.checking import Example
from lorascope.checking.counted_otherwise import count_notes
from lorascope.core.recipe import Tool

_TORCHTUNE = (
    "model:\n  _component_: torchtune.models.llama3_1.lora_llama3_1_8b\n"
    "  lora_attn_modules: [q_proj, v_proj]\n"
    "  apply_lora_to_mlp: True\n  apply_lora_to_output: True\n"
)
_AXOLOTL = (
    "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
    "lora_target_modules: [q_proj]\nlora_target_linear: true\n"
)
_MLX = "model: m\nnum_layers: 4\nlora_parameters: {{{keys}rank: 4, scale: 1.0, dropout: 0.0}}\n"


@pytest.mark.parametrize(
    ("tool", "text", "rows"),
    [
        (
            Tool.TORCHTUNE,
            _TORCHTUNE,
            {"q_proj": 32, "v_proj": 32, "apply_lora_to_mlp": 96, "apply_lora_to_output": 1},
        ),
        (Tool.AXOLOTL, _AXOLOTL, {"q_proj": 32, "lora_target_linear": 192}),
    ],
)
def test_every_adapted_module_is_under_a_row(tool: Tool, text: str, rows: dict[str, int]) -> None:
    known = subject(Example("Llama-3.1-8B", text, tool))
    assert {entry.entry: entry.matched for entry in known.entries} == rows
    assert sum(rows.values()) == len(known.targets)


def test_experts_that_no_file_names_are_no_rows_of_their_own() -> None:
    known = subject(Example("Qwen3-30B-A3B", _MLX.format(keys=""), Tool.MLX_LM))
    [row] = known.entries
    assert row.entry == "chosen by mlx-lm"
    assert row.matched == len(known.targets)
    [note] = count_notes(known)
    assert "gate and up of the routed experts apart" in note


@pytest.mark.parametrize(
    ("model", "keys"),
    [("Qwen3-30B-A3B", "keys: [self_attn.q_proj], "), ("Llama-3.1-8B", "")],
)
def test_counts_that_are_the_tool_s_own_need_no_note(model: str, keys: str) -> None:
    assert count_notes(subject(Example(model, _MLX.format(keys=keys), Tool.MLX_LM))) == ()
