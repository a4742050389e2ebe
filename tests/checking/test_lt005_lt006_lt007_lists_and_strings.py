"""LT005, LT006 and LT007: lists where PEFT wants a string, and strings where it wants a list."""

from __future__ import annotations

import pytest
from check_models import codes, subject
from one_rule import found

from lorascope.checking import Example, findings_of, subject_of
from lorascope.checking.rules.lt005_regex_in_list import RULE as LT005
from lorascope.checking.rules.lt006_names_as_string import RULE as LT006
from lorascope.checking.rules.lt007_all_linear_in_list import RULE as LT007
from lorascope.core.recipe import Recipe, Tool

_LLAMA = "Llama-3.1-8B"


def _adapted(model: str, targets: object) -> int:
    return len(subject(Example(model, {"target_modules": targets})).targets)


@pytest.mark.parametrize(
    ("entry", "hits", "names"),
    [
        (r"model\.layers\.\d+\.self_attn\.q_proj", 32, "'q_proj'"),
        (r".*\.(q|v)_proj", 64, "'q_proj', 'v_proj'"),
        ("(q|v)_proj", 64, "'q_proj', 'v_proj'"),
        ("self_attn.*_proj", 128, "'q_proj', 'k_proj', 'v_proj', 'o_proj'"),
        ("*.q_proj", 32, "'q_proj'"),
    ],
)
def test_regex_in_list_becomes_a_string(entry: str, hits: int, names: str) -> None:
    [finding] = found(LT005, _LLAMA, {"target_modules": [entry]})
    assert f"it would hit {hits} modules" in finding.message
    assert f"List {names} instead" in finding.hint
    [edit] = finding.edits
    assert edit.entry is None
    assert _adapted(_LLAMA, edit.value) == hits


def test_regex_beside_names_is_not_edited() -> None:
    [finding] = found(LT005, _LLAMA, {"target_modules": ["q_proj", r".*v_proj"]})
    assert finding.entry == ".*v_proj"
    assert finding.edits == ()


def test_regex_for_some_layers_keeps_its_layers() -> None:
    [finding] = found(LT005, _LLAMA, {"target_modules": [r".*layers\.[0-3]\.self_attn\.q_proj"]})
    assert "it would hit 4 modules" in finding.message
    assert _adapted(_LLAMA, finding.edits[0].value) == 4
    assert "'0.self_attn.q_proj'" in finding.hint


@pytest.mark.parametrize(
    "targets",
    [
        ["q_proj", "v_proj"],
        [r".*\.foo_proj"],
        [r"(((.*)*)*)*q_proj("],
        r".*\.(q|v)_proj",
        ["model.layers.0.self_attn.q_proj"],
    ],
)
def test_what_is_no_regex_in_a_list_is_silent(targets: object) -> None:
    assert found(LT005, _LLAMA, {"target_modules": targets}) == ()


def test_numbers_as_names_are_no_regex() -> None:
    assert found(LT005, "CLIP-ViT-B-32", {"target_modules": ["layers.0.mlp.fc1"]}) == ()


def test_trl_makes_a_regex_of_a_lone_entry_so_that_it_works() -> None:
    command = r"trl sft --use_peft --model_name_or_path m --lora_target_modules '.*\.q_proj'"
    assert found(LT005, _LLAMA, command, tool=Tool.TRL) == ()
    assert found(LT006, _LLAMA, command, tool=Tool.TRL) == ()


@pytest.mark.parametrize(
    ("string", "names"),
    [
        ("q_proj", ("q_proj",)),
        ("q_proj,v_proj", ("q_proj", "v_proj")),
        ("q_proj, v_proj", ("q_proj", "v_proj")),
        ("q_proj v_proj", ("q_proj", "v_proj")),
        ("q_proj|v_proj", ("q_proj", "v_proj")),
        ("['q_proj', 'v_proj']", ("q_proj", "v_proj")),
        ("self_attn.q_proj", ("self_attn.q_proj",)),
    ],
)
def test_names_as_string_become_a_list(string: str, names: tuple[str, ...]) -> None:
    [finding] = found(LT006, _LLAMA, {"target_modules": string})
    assert "one regular expression for whole module names" in finding.message
    [edit] = finding.edits
    assert (edit.entry, edit.value) == (None, names)
    assert f"it would match {_adapted(_LLAMA, names)} modules" in finding.message


def test_names_of_another_model_get_the_nearest() -> None:
    [finding] = found(LT006, "Phi-3-mini", {"target_modules": "q_proj,o_proj"})
    assert "q_proj would match nothing there either" in finding.hint
    assert "qkv_proj" in finding.hint
    assert finding.edits == ()


@pytest.mark.parametrize(
    "string",
    ["lm_head", "all-linear", "ALL-LINEAR", r".*\.q_proj", ".*q_proj", r"model\.layers\.x\.q_proj"],
)
def test_strings_that_match_or_are_patterns_are_silent(string: str) -> None:
    assert found(LT006, _LLAMA, {"target_modules": string}) == ()


def test_list_of_one_that_trl_makes_a_string_of() -> None:
    command = "trl sft --use_peft --model_name_or_path m --lora_target_modules q_proj"
    [finding] = found(LT006, _LLAMA, command, tool=Tool.TRL)
    assert "TRL makes a string of a list with one entry" in finding.message
    assert "instead of 32 modules" in finding.message
    [edit] = finding.edits
    assert edit.value == (r".*\.q_proj",)
    assert _adapted(_LLAMA, edit.value[0]) == 32
    twice = f"{command} q_proj"
    assert found(LT006, _LLAMA, twice, tool=Tool.TRL) == ()


def test_trl_takes_all_linear_and_full_names() -> None:
    for words in ("all-linear", "q_proj v_proj", "lm_head"):
        command = f"trl sft --use_peft --model_name_or_path m --lora_target_modules {words}"
        assert found(LT006, _LLAMA, command, tool=Tool.TRL) == ()
        assert found(LT007, _LLAMA, command, tool=Tool.TRL) == ()


def test_comma_in_a_lone_entry_of_trl_is_one_finding() -> None:
    command = "trl sft --use_peft --model_name_or_path m --lora_target_modules q_proj,v_proj"
    assert codes(_LLAMA, command, Tool.TRL) == ["LT033"]


def test_all_linear_in_a_list() -> None:
    [finding] = found(LT007, _LLAMA, {"target_modules": ["all-linear"]})
    assert finding.edits[0].value == "all-linear"
    assert "refuses" in finding.message


def test_all_linear_beside_what_it_covers() -> None:
    [finding] = found(LT007, _LLAMA, {"target_modules": ["all-linear", "q_proj"]})
    assert "Only 'q_proj' counts" in finding.message
    assert finding.edits[0].value == "all-linear"


@pytest.mark.parametrize("other", ["lm_head", "embed_tokens"])
def test_all_linear_beside_what_it_leaves_out(other: str) -> None:
    [finding] = found(LT007, _LLAMA, {"target_modules": ["all-linear", other]})
    assert finding.edits == ()
    assert other in finding.hint


def test_ms_swift_spells_the_word_out() -> None:
    command = "swift sft --model m --train_type lora --target_modules all-linear"
    assert found(LT007, _LLAMA, command, tool=Tool.MS_SWIFT) == ()


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("q_proj", ["LT006"]),
        ("q_proj,v_proj", ["LT006"]),
        ([r".*\.q_proj", "v_proj"], ["LT005"]),
        (["all-linear"], ["LT007"]),
        (["q_proj", "v_proj"], []),
        ("all-linear", []),
        (r".*\.(q|v)_proj", []),
        ("score", []),
        ("lm_head", []),
    ],
)
def test_without_a_model_only_what_no_model_has_is_told(
    targets: object, expected: list[str]
) -> None:
    checked = subject_of(Recipe(Tool.PEFT, "test", {"target_modules": targets}))
    found_codes = [f.code for f in findings_of(checked, (LT005, LT006, LT007))]
    assert found_codes == expected
    ms_swift = subject_of(Recipe(Tool.MS_SWIFT, "test", {"target_modules": ["all-linear"]}))
    assert findings_of(ms_swift, (LT007,)) == ()


def test_a_command_is_told_its_words() -> None:
    trl = "trl sft --use_peft --model_name_or_path m --lora_target_modules "
    [finding] = found(LT006, "Llama-3.1-8B", trl + "q_proj", tool=Tool.TRL)
    assert r"--lora_target_modules '.*\.q_proj'" in finding.hint
    assert "--lora_target_modules q_proj q_proj keeps it a list" in finding.hint
    [finding] = found(LT007, "Llama-3.1-8B", trl + "all-linear lm_head", tool=Tool.TRL)
    assert "Write --lora_target_modules all-linear and no other word" in finding.hint
    swift = "swift sft --model m --target_regex q_proj"
    [finding] = found(LT006, "Llama-3.1-8B", swift, tool=Tool.MS_SWIFT)
    assert finding.hint == "Write --target_modules q_proj."
