"""LT033: commas, spaces and quotes in entries."""

from __future__ import annotations

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example
from lorascope.checking.rules.lt033_punctuation_in_entry import RULE
from lorascope.core.recipe import Tool

_MODEL = "Qwen2.5-0.5B"


def test_command_of_trls_own_examples() -> None:
    command = (
        "trl grpo --use_peft --model_name_or_path Qwen/Qwen2.5-0.5B "
        '--lora_target_modules "q_proj", "v_proj"'
    )
    checked = subject(Example(_MODEL, command, Tool.TRL))
    assert {path.rpartition(".")[2] for path in checked.adapted_paths} == {"v_proj"}
    [finding] = found(RULE, _MODEL, command, tool=Tool.TRL)
    assert finding.entry == "q_proj,"
    assert "A shell passes on the comma" in finding.message
    assert finding.edits[0].value == ("q_proj",)
    assert finding.hint == "Write --lora_target_modules q_proj v_proj"


def test_seven_names_with_six_commas() -> None:
    command = (
        "trl sft --use_peft --model_name_or_path m --lora_target_modules "
        "down_proj, o_proj, k_proj, q_proj, gate_proj, up_proj, v_proj"
    )
    findings = found(RULE, _MODEL, command, tool=Tool.TRL)
    assert len(findings) == 6
    assert all(finding.severity == "error" for finding in findings)
    assert not any("," in finding.hint for finding in findings)


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("q_proj,", ("q_proj",)),
        (" q_proj", ("q_proj",)),
        ("'q_proj'", ("q_proj",)),
        ('"q_proj"', ("q_proj",)),
        ("q_proj,v_proj", ("q_proj", "v_proj")),
        ("q_proj v_proj", ("q_proj", "v_proj")),
        ("q_proj, v_proj", ("q_proj", "v_proj")),
        ("['q_proj'", ("q_proj",)),
    ],
)
def test_entry_is_edited_into_the_names_in_it(entry: str, names: tuple[str, ...]) -> None:
    [finding] = found(RULE, _MODEL, {"target_modules": [entry, "o_proj"]})
    [edit] = finding.edits
    assert (edit.entry, edit.value) == (entry, names)


def test_name_that_is_there_already_is_not_written_twice() -> None:
    [finding] = found(RULE, _MODEL, {"target_modules": ["q_proj,", "q_proj"]})
    assert finding.edits[0].value == ()
    assert "there already" in finding.hint


def test_comma_after_a_name_of_another_model() -> None:
    [finding] = found(RULE, "Phi-3-mini", {"target_modules": ["q_proj,", "o_proj"]})
    assert finding.edits[0].value == ("q_proj",)


def test_parameters_are_looked_at_too() -> None:
    config = {"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj,"]}
    [finding] = found(RULE, "gpt-oss-20b", config)
    assert finding.where == "target_parameters"
    assert finding.edits[0].value == ("experts.down_proj",)


@pytest.mark.parametrize(
    "entry", ["q_proj", "self_attn.q_proj", r".*\.(q|v)_proj", r"layers\.\d{1,2}\.q_proj", "foo"]
)
def test_plain_names_and_regexes_are_silent(entry: str) -> None:
    assert found(RULE, _MODEL, {"target_modules": [entry, "o_proj"]}) == ()


def test_tools_that_split_at_commas_are_silent() -> None:
    recipe = (
        "model_name_or_path: m\nstage: sft\nfinetuning_type: lora\nlora_target: q_proj, v_proj\n"
    )
    assert found(RULE, _MODEL, recipe, tool=Tool.LLAMAFACTORY) == ()
