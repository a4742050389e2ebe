"""LT039: keys that a tool does not know."""

from __future__ import annotations

import json

import pytest
from one_rule import found
from peft import LoraConfig

from lorascope.checking.rules.lt039_unknown_key import RULE
from lorascope.core.recipe import Tool


def test_peft_ignores_rank() -> None:
    text = '{"peft_type": "LORA", "rank": 64, "target_modules": ["q_proj"]}'
    [finding] = found(RULE, "Llama-3.1-8B", text)
    assert (finding.entry, finding.hint) == ("rank", "Write r.")
    with pytest.warns(UserWarning, match="Unexpected keyword arguments"):
        assert LoraConfig.from_peft_type(**json.loads(text)).r == 8


def test_peft_stops_without_a_type() -> None:
    with pytest.raises(TypeError, match="peft_type"):
        LoraConfig.from_peft_type(rank=64)


@pytest.mark.parametrize(
    ("tool", "text", "right"),
    [
        (
            Tool.AXOLOTL,
            "base_model: x\nadapter: lora\nlora_rank: 8\nlora_r: 8\nlora_alpha: 16\n"
            "lora_target_modules: [q_proj]\n",
            "lora_r",
        ),
        (
            Tool.LLAMAFACTORY,
            "model_name_or_path: x\nstage: sft\nfinetuning_type: lora\nlora_r: 8\n"
            "lora_target: all\n",
            "lora_rank",
        ),
    ],
)
def test_key_of_another_tool(tool: Tool, text: str, right: str) -> None:
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=tool)
    assert finding.hint == f"Write {right}."


def test_configuration_as_peft_saves_it() -> None:
    config = LoraConfig(target_modules=["q_proj"]).to_dict()
    text = json.dumps({k: list(v) if isinstance(v, set) else v for k, v in config.items()})
    assert found(RULE, "Llama-3.1-8B", text) == ()


@pytest.mark.parametrize(
    ("modules", "more", "hint", "edits"),
    [
        ("q_proj, up_proj", "", "Set apply_lora_to_mlp: True", ()),
        ("q_proj, up_proj", "  apply_lora_to_mlp: True\n", "adapts it already", ((),)),
        ("q_proj, o_proj", "", "Write output_proj.", (("output_proj",),)),
        ("output_proj, o_proj", "", "output_proj is listed already", ((),)),
    ],
)
def test_module_that_torchtune_passes_over(
    modules: str, more: str, hint: str, edits: tuple[tuple[str, ...], ...]
) -> None:
    text = (
        "model:\n  _component_: torchtune.models.llama3_1.lora_llama3_1_8b\n"
        f"  lora_attn_modules: [{modules}]\n{more}"
    )
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.TORCHTUNE)
    name = modules.rpartition(" ")[2]
    told = f"torchtune knows no module {name!r} and takes no notice of it."
    assert (finding.entry, finding.message) == (name, told)
    assert hint in finding.hint
    assert tuple(edit.value for edit in finding.edits) == edits
