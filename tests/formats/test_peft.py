from __future__ import annotations

import json
from dataclasses import fields

import pytest

from builders import llama
from lorascope.core.errors import NoLoraError, RecipeError, SpecificationError
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.spec import LoraSpec
from lorascope.formats import hand, read_recipes
from lorascope.formats.peft import _OTHERS, FIELDS
from recipes import written

TEXT = """{
  "base_model_name_or_path": "owner/name",
  "revision": "v2",
  "peft_type": "LORA",
  "r": 16,
  "lora_alpha": 32,
  "target_modules": ["q_proj", "v_proj"],
  "rank_pattern": {"layers.0.q_proj": 4},
  "layers_to_transform": [0, 1],
  "modules_to_save": null,
  "lora_dropout": 0.05
}
"""


def read(text: str) -> Recipe:
    return read_recipes(text, "adapter_config.json")[0]


def test_every_field_is_read_and_handed_on_as_it_is() -> None:
    recipe = read(TEXT)
    assert (recipe.tool, recipe.base_model, recipe.revision) == (Tool.PEFT, "owner/name", "v2")
    assert recipe.stated == {
        "peft_type": "LORA",
        "r": 16,
        "lora_alpha": 32,
        "target_modules": ("q_proj", "v_proj"),
        "rank_pattern": {"layers.0.q_proj": 4},
        "layers_to_transform": (0, 1),
        "modules_to_save": None,
        "lora_dropout": 0.05,
    }
    assert hand(recipe, llama()) == recipe.stated
    assert LoraSpec.from_dict(hand(recipe, llama())) == LoraSpec.from_dict(json.loads(TEXT))
    assert not recipe.unknown


def test_entries_know_where_they_stand() -> None:
    recipe = read(TEXT)
    assert written(recipe, TEXT, "target_modules") == '["q_proj", "v_proj"]'
    assert written(recipe, TEXT, "target_modules", "v_proj") == '"v_proj"'
    assert written(recipe, TEXT, "rank_pattern", "layers.0.q_proj") == '"layers.0.q_proj"'
    assert written(recipe, TEXT, "layers_to_transform", "1") == "1"
    assert recipe.spots["target_modules", "v_proj"].line == 7


def test_keys_that_peft_does_not_have() -> None:
    text = '{"rank": 8, "lora_target_modules": ["q"], "target_module": [], "auto_mapping": 1,'
    text += '"lora_r": 8, "alpha": 1, "lora_dropuot": 0, "my_note": "x", "lora_alpha": 8}'
    recipe = read(text)
    assert recipe.unknown == {
        "rank": ("r",),
        "lora_target_modules": ("target_modules",),
        "target_module": ("target_modules",),
        "lora_r": ("r",),
        "alpha": ("lora_alpha",),
        "lora_dropuot": ("lora_dropout",),
    }
    assert written(recipe, text, "", "rank") == '"rank"'


def test_a_wrong_type_is_left_to_the_specification() -> None:
    recipe = read('{"target_modules": ["q"], "r": "8"}')
    with pytest.raises(SpecificationError, match="r is '8'; expected a whole number"):
        LoraSpec.from_dict(hand(recipe, llama()))


@pytest.mark.parametrize("name", ["IA3", "ADALORA", "PeftType.LOHA", "7"])
def test_other_methods_are_no_lora(name: str) -> None:
    with pytest.raises(NoLoraError, match=rf"line 1: peft_type is '{name}'; expected 'LORA'"):
        read(f'{{"peft_type": "{name}", "target_modules": ["q"]}}')


def test_the_base_model_is_text() -> None:
    message = "base_model_name_or_path is 7; expected text"
    with pytest.raises(RecipeError, match=message):
        read('{"base_model_name_or_path": 7}')


def test_the_fields_are_those_of_peft() -> None:
    peft = pytest.importorskip("peft")
    installed = {field.name for field in fields(peft.LoraConfig)}
    assert installed <= {*FIELDS, *_OTHERS}
