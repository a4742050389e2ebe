from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import llama
from lorascope.core.errors import LorascopeError, NoLoraError, RecipeError, UnknownFormatError
from lorascope.core.recipe import Tool
from lorascope.formats import hand, looks_like, read_recipes
from lorascope.formats.dialects import DIALECTS

PEFT = '{"peft_type": "LORA", "target_modules": ["q_proj"], "r": 8}'
AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 8\nlora_target_modules: [q_proj]\n"
FACTORY = "model_name_or_path: m\nfinetuning_type: lora\nlora_target: q_proj,v_proj\n"
TRL = "trl sft --model_name_or_path m --use_peft --lora_target_modules q_proj v_proj\n"
SWIFT = "swift sft --model m --target_modules q_proj\n"


@pytest.mark.parametrize(
    ("text", "origin", "tool"),
    [
        (PEFT, "adapter_config.json", Tool.PEFT),
        (f"\ufeff\n {PEFT}", "-", Tool.PEFT),
        ('{"rank": 8, "target_modules": ["q_proj"]}', "mapping", Tool.PEFT),
        (AXOLOTL, "a.yml", Tool.AXOLOTL),
        (AXOLOTL, "-", Tool.AXOLOTL),
        ('{"base_model": "m", "adapter": "lora"}', "a.json", Tool.AXOLOTL),
        (FACTORY, "a.yaml", Tool.LLAMAFACTORY),
        ('{"model_name_or_path": "m", "stage": "sft"}', "a.json", Tool.LLAMAFACTORY),
        (f"{{{FACTORY.strip().replace(chr(10), ', ').replace(',v', ';v')}}}", "a.yaml",
         Tool.LLAMAFACTORY),
        (TRL, "run.sh", Tool.TRL),
        (TRL, "-", Tool.TRL),
        (f"#!/bin/sh\n{SWIFT}", "run", Tool.MS_SWIFT),
    ],
)  # fmt: skip
def test_whose_a_text_is(text: str, origin: str, tool: Tool) -> None:
    (recipe,) = read_recipes(text, origin)
    assert (recipe.tool, recipe.origin, recipe.name) == (tool, origin, "")


def test_several_commands_of_a_script_have_names() -> None:
    text = f"# two\n{TRL}\nswift sft --model m --tuner_type full\n{SWIFT}"
    assert [(r.tool, r.name) for r in read_recipes(text, "run.sh")] == [
        (Tool.TRL, "line 2"),
        (Tool.MS_SWIFT, "line 5"),
    ]


def test_a_script_that_trains_no_lora_at_all() -> None:
    with pytest.raises(NoLoraError):
        read_recipes("swift sft --model m --tuner_type full\n", "run.sh")


REFUSED = {
    "seed: 1\n": "t is of no tool that is known. Looked for peft: JSON with peft_type",
    "- a\n": "t holds a list; expected keys and values. Say whose it is with --format, one of peft",
    "word": "t holds one value; expected keys and values.",
    "---\n": "t holds nothing; expected keys and values.",
    "": "t is empty; expected a YAML mapping",
    "#!/bin/sh\nls\n": "t holds no training command that is known.",
    '{"a": 1': "t, line 1, column 8: not read as JSON",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_of_no_tool(text: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_recipes(text, "t")
    assert REFUSED[text] in str(error.value)


def test_keys_of_two_tools_are_not_guessed() -> None:
    text = f"{FACTORY}use_peft: true\nlora_r: 8\nbase_model: m\nadapter: lora\n"
    recipes = [d.tool for d in DIALECTS if _reads(text, d.tool)]
    assert Tool.LLAMAFACTORY in recipes
    assert read_recipes(text, "t", Tool.AXOLOTL)[0].tool is Tool.AXOLOTL


def _reads(text: str, tool: Tool) -> bool:
    try:
        return bool(read_recipes(text, "t", tool))
    except LorascopeError:
        return False


def test_a_named_tool_must_take_the_syntax() -> None:
    with pytest.raises(RecipeError, match="t is read as YAML; peft takes JSON. Name another"):
        read_recipes(AXOLOTL, "t", Tool.PEFT)
    assert read_recipes('{"r": 4}', "t", Tool.PEFT)[0].stated == {"r": 4}


def test_each_tool_is_there_once() -> None:
    assert sorted(dialect.tool for dialect in DIALECTS) == sorted(Tool)


def test_hand_asks_the_recipe_s_own_tool() -> None:
    assert hand(read_recipes(FACTORY, "t")[0], llama())["lora_alpha"] == 16
    assert hand(read_recipes(AXOLOTL, "t")[0], llama())["target_modules"] == ("q_proj",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x/adapter_config.json", True),
        ("adapter_config.json", True),
        ("x\\adapter_config.json", True),
        ("a/train.yaml", True),
        ("train.YML", True),
        ("run.sh", True),
        ("config.json", False),
        ("my_adapter_config.json", False),
        ("README.md", False),
        ("yaml", False),
    ],
)
def test_which_files_deserve_reading(name: str, expected: bool) -> None:
    assert looks_like(name) is expected


@given(st.data())
def test_any_text_is_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([PEFT, AXOLOTL, FACTORY, TRL, SWIFT]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 6))
        new = data.draw(st.text(alphabet="[]{}:,-'\"#&*! \n$\\`|0a\ud800\x00é", max_size=4))
        text = text[:at] + new + text[at + cut :]
    tool = data.draw(st.sampled_from([None, *Tool]))
    try:
        recipes = read_recipes(text, data.draw(st.sampled_from(["t", "t.sh", "t.json"])), tool)
    except LorascopeError:
        return
    for recipe in recipes:
        assert recipe.tool is tool or tool is None
        for spot in recipe.spots.values():
            assert 0 <= spot.start <= spot.end <= len(text)


def test_the_message_of_an_unknown_format_is_its_own_error() -> None:
    with pytest.raises(UnknownFormatError):
        read_recipes("compute_environment: LOCAL_MACHINE\n", "accelerate.yaml")
