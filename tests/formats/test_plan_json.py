"""The JSON of a plan is read as the configuration in it."""

import json

import pytest

from lorascope.core.errors import UnknownFormatError
from lorascope.core.recipe import Tool
from lorascope.formats import read_recipes

PLAN = {
    "schema_version": 1,
    "model": {"reference": "x"},
    "adapter_config": {"base_model_name_or_path": "owner/x", "target_modules": ["q_proj"], "r": 4},
}


def test_a_plan_is_recognized() -> None:
    text = json.dumps(PLAN, indent=1)
    (recipe,) = read_recipes(text, "plan.json")
    assert recipe.tool is Tool.PEFT
    assert recipe.base_model == "owner/x"
    assert recipe.stated["target_modules"] == ("q_proj",)
    spot = recipe.spot("target_modules", "q_proj")
    assert spot is not None
    assert text[spot.start : spot.end] == '"q_proj"'


@pytest.mark.parametrize("inside", [None, {}, [], "x"])
def test_without_a_configuration_it_is_none(inside: object) -> None:
    with pytest.raises(UnknownFormatError):
        read_recipes(json.dumps(PLAN | {"adapter_config": inside}), "plan.json")
