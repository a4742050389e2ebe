"""TRL's commands and files."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import builders
import recipes
from lorascope.core.errors import NoLoraError, RecipeError
from lorascope.core.recipe import Tool
from lorascope.core.spec import LoraSpec
from lorascope.formats.node import Syntax
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.trl import DIALECT
from lorascope.formats.yaml_document import parse_yaml

LLAMA = builders.llama()
of_command = partial(recipes.of_command, DIALECT)
of_yaml = partial(recipes.of_yaml, DIALECT)


def test_a_command_is_put_into_peft_s_words() -> None:
    text = (
        "trl sft --model_name_or_path Qwen/Qwen3-8B --model_revision v1 --use_peft --lora_r 16"
        " --lora_alpha 8 --lora_dropout 0.1 --lora_target_modules q_proj v_proj --use_dora true"
        " --lora_modules_to_save lm_head --lora_task_type SEQ_CLS --load_in_4bit --bf16 true"
    )
    recipe = of_command(text)
    assert recipe.tool is Tool.TRL
    assert recipe.stated == {
        "r": 16,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "target_modules": ("q_proj", "v_proj"),
        "modules_to_save": ("lm_head",),
        "task_type": "SEQ_CLS",
        "use_dora": True,
    }
    assert (recipe.base_model, recipe.revision) == ("Qwen/Qwen3-8B", "v1")
    assert recipe.options == {"use_peft": True, "load_in_4bit": True}
    assert recipe.key("target_modules") == "--lora_target_modules"
    assert recipes.written(recipe, text, "target_modules", "v_proj") == "v_proj"
    assert recipes.written(recipe, text, "target_modules") == "q_proj v_proj"
    assert recipe.unknown == {}


def test_a_file_is_read_by_the_same_keys() -> None:
    recipe = of_yaml(
        "model_name_or_path: Qwen/Qwen3-8B\nuse_peft: true\nlora_r: 16\n"
        "lora_target_modules:\n  - q_proj\n  - v_proj\n"
    )
    assert recipe.stated == {"r": 16, "target_modules": ("q_proj", "v_proj")}
    assert recipe.key("target_modules") == "lora_target_modules"
    spot = recipe.spot("target_modules", "v_proj")
    assert spot is not None
    assert spot.line == 6


@pytest.mark.parametrize(
    ("words", "handed"),
    [
        ("", None),
        ("--lora_target_modules q_proj", "q_proj"),
        ("--lora_target_modules all-linear", "all-linear"),
        ("--lora_target_modules q_proj v_proj", ("q_proj", "v_proj")),
        ('--lora_target_modules "q_proj", "v_proj"', ("q_proj,", "v_proj")),
    ],
)
def test_one_target_alone_is_handed_over_as_text(words: str, handed: object) -> None:
    recipe = of_command(f"trl sft --model_name_or_path m --use_peft {words}")
    assert DIALECT.hand(recipe, LLAMA)["target_modules"] == handed


def test_the_defaults_are_trl_s_own() -> None:
    handed = DIALECT.hand(of_command("trl sft --model_name_or_path m --use_peft"), LLAMA)
    spec = LoraSpec.from_dict(handed)
    assert (spec.r, spec.lora_alpha, spec.lora_dropout) == (16, 32, 0.05)
    assert (spec.task_type, spec.target_modules) == ("CAUSAL_LM", None)


def test_text_in_a_file_stays_text() -> None:
    recipe = of_yaml("model_name_or_path: m\nuse_peft: true\nlora_target_modules: q_proj\n")
    assert recipe.stated["target_modules"] == "q_proj"


def test_lora_options_without_use_peft_are_read_and_said_to_be_off() -> None:
    assert of_command("trl sft --lora_r 8").options == {"use_peft": False}
    assert of_yaml("model_name_or_path: m\nlora_r: 8").options == {"use_peft": False}
    text = "trl sft --use_peft false --lora_r 8"
    recipe = of_command(text)
    assert recipe.options == {"use_peft": False}
    assert recipes.written(recipe, text, "", "use_peft") == "--use_peft"


def test_a_file_named_beside_the_command_may_turn_it_on() -> None:
    assert of_command("trl sft --config a.yaml --lora_r 8").options == {"config": "a.yaml"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trl sft --model_name_or_path m", "train.sh, line 1: --use_peft is missing"),
        ("trl sft --use_peft false", "train.sh, line 1: --use_peft is off"),
        ("trl sft --config a.yaml", "Its settings may stand in a.yaml: check that file."),
    ],
)
def test_what_trains_the_whole_model_is_no_lora(text: str, message: str) -> None:
    (node,) = parse_shell(text, "train.sh")
    with pytest.raises(NoLoraError) as raised:
        DIALECT.read(node, "train.sh")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--lora_r x", "train.sh, line 1: --lora_r is 'x'; expected a whole number."),
        ("--lora_r 8 9", "train.sh, line 1: --lora_r is ['8', '9']; expected a whole number."),
        ("--lora_r", "train.sh, line 1: --lora_r is True; expected a whole number."),
        ("--lora_alpha 1.5", "--lora_alpha is '1.5'; expected a whole number."),
        ("--lora_dropout nan", "--lora_dropout is 'nan'; expected a number."),
        ("--use_dora maybe", "--use_dora is 'maybe'; expected true or false."),
        ("--lora_r $R", "Write the value itself in place of the variable."),
    ],
)
def test_values_of_a_wrong_type_are_errors_that_say_where(text: str, message: str) -> None:
    (node,) = parse_shell(f"trl sft --use_peft {text}", "train.sh")
    with pytest.raises(RecipeError) as raised:
        DIALECT.read(node, "train.sh")
    assert message in str(raised.value)


def test_misspelt_keys_are_named_and_others_left_alone() -> None:
    text = "trl sft --use_peft --lora_rank 8 --lora_target_module q --learning_rate 1 --ld_alpha 1"
    recipe = of_command(text)
    assert recipe.unknown == {
        "lora_rank": ("lora_r",),
        "lora_target_module": ("lora_target_modules",),
    }
    assert recipes.written(recipe, text, "", "lora_rank") == "--lora_rank"


def test_a_model_named_by_an_unknown_variable_is_not_known() -> None:
    assert of_command("trl sft --use_peft --model_name_or_path $M").base_model is None
    assert of_command("trl sft --use_peft --model_name=org/m").base_model == "org/m"


@pytest.mark.parametrize(
    "text",
    [
        "base_model: m\nlora_target_modules: [q_proj]",
        "model_name_or_path: m\nfinetuning_type: lora\nlora_alpha: 8",
        "model: m\ntarget_modules: [q_proj]",
        "lora_parameters:\n  rank: 8",
    ],
)
def test_files_of_other_tools_are_not_taken(text: str) -> None:
    assert not DIALECT.recognizes(parse_yaml(text, "x"), Syntax.YAML)


def test_names_beginning_like_swift_are_not_taken() -> None:
    (node,) = parse_shell("swift sft --model m", "x")
    assert not DIALECT.recognizes(node, Syntax.SHELL)


def test_values_of_a_recipe_are_what_lora_spec_takes() -> None:
    stated: dict[str, Any] = dict(of_command("trl sft --use_peft --lora_dropout 0").stated)
    assert LoraSpec.from_dict(stated).lora_dropout == 0
