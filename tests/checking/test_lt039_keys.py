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
