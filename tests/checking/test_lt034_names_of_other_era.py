"""LT034: names of another class, release or tool."""

from __future__ import annotations

import pytest
from check_models import codes, subject
from one_rule import found

from lorascope.checking import Example
from lorascope.checking.rules.lt034_names_of_other_era import RULE
from lorascope.core.recipe import Tool


def _adapted(model: str, targets: object) -> int:
    return len(subject(Example(model, {"target_modules": targets})).targets)


def test_first_remote_code_of_phi() -> None:
    config = {"target_modules": ["Wqkv", "out_proj", "fc1", "fc2"]}
    findings = found(RULE, "Phi-2", config)
    assert {f.entry: f.edits[0].value for f in findings} == {
        "Wqkv": ("q_proj", "k_proj", "v_proj"),
        "out_proj": ("dense",),
    }
    assert all(finding.severity == "error" for finding in findings)


@pytest.mark.parametrize(
    ("model", "entry", "instead"),
    [
        ("Phi-2", "query_key_value", ("q_proj", "k_proj", "v_proj")),
        ("Pythia-6.9B", "Wqkv", ("query_key_value",)),
        ("Llama-3.1-8B", "wqkv", ("q_proj", "k_proj", "v_proj")),
        ("Llama-3.1-8B", "wo", ("o_proj",)),
        ("Llama-3.1-8B", "W_pack", ("q_proj", "k_proj", "v_proj")),
    ],
)
def test_name_of_another_class(model: str, entry: str, instead: tuple[str, ...]) -> None:
    [finding] = found(RULE, model, {"target_modules": [entry]})
    assert finding.edits[0].value == instead
    assert _adapted(model, instead)


def test_name_beside_the_real_one_is_worth_knowing_only() -> None:
    config = {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "dense", "fc1", "fc2"]}
    [finding] = found(RULE, "Phi-2", config)
    assert finding.severity == "info"
    assert finding.edits[0].value == ()


def test_name_that_would_hit_other_roles_is_not_given() -> None:
    # BERT's `dense` is in its feed-forward too.
    assert found(RULE, "BERT-base", {"target_modules": ["query", "o_proj"]}) == ()
    assert codes("BERT-base", {"target_modules": ["query", "o_proj"]}) == ["LT002"]


def test_full_names_from_before_a_wrapper_moved_are_one_finding() -> None:
    old = [f"language_model.model.layers.{layer}.self_attn.q_proj" for layer in range(34)]
    [finding] = found(RULE, "Gemma-3-4B", {"target_modules": old})
    assert "33 more entries likewise" in finding.message
    assert "'language_model.model' is 'model.language_model' here" in finding.hint
    assert len(finding.edits) == 34
    assert _adapted("Gemma-3-4B", [name for edit in finding.edits for name in edit.value]) == 34


@pytest.mark.parametrize(
    ("model", "pattern", "instead"),
    [
        (
            "Gemma-3-4B",
            r"language_model\.model\.layers\.\d+\.self_attn\.(q|v)_proj",
            r"model\.language_model\.layers\.\d+\.self_attn\.(q|v)_proj",
        ),
        (
            "Gemma-3-4B",
            r"^language_model.model.layers.[\d]+.(mlp|self_attn).(up|down|gate|q|k|v|o)_proj",
            r"^model.language_model.layers.[\d]+.(mlp|self_attn).(up|down|gate|q|k|v|o)_proj",
        ),
        (
            "Qwen2.5-VL-7B",
            r"model.layers.\d+.self_attn.(q|v)_proj",
            r"model.language_model.layers.\d+.self_attn.(q|v)_proj",
        ),
        (
            "Llama-3.1-8B",
            r"model\.language_model\.layers\.\d+\.mlp\.up_proj",
            r"model\.layers\.\d+\.mlp\.up_proj",
        ),
    ],
)
def test_pattern_with_an_old_prefix(model: str, pattern: str, instead: str) -> None:
    [finding] = found(RULE, model, {"target_modules": pattern})
    assert finding.edits[0].value == instead
    assert _adapted(model, instead)


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("Mixtral-8x7B", ["w1", "w2", "w3"]),  # PEFT rewrites these
        ("Phi-2", ["q_proj", "dense"]),
        ("Llama-3.1-8B", ["foo_proj", "q_proj"]),
        ("Llama-3.1-8B", r"language_model\.foo\..*"),
        ("Gemma-3-4B", r"model\.language_model\..*\.q_proj"),
        ("GPT-2", ["c_attn"]),
    ],
)
def test_names_of_this_class_and_unknown_ones_are_silent(model: str, targets: object) -> None:
    assert found(RULE, model, {"target_modules": targets}) == ()


def test_a_command_is_told_all_of_its_words() -> None:
    command = "trl sft --use_peft --model_name_or_path m --lora_target_modules Wqkv fc1"
    [finding] = found(RULE, "Phi-2", command, tool=Tool.TRL)
    assert finding.hint == "Write --lora_target_modules q_proj k_proj v_proj fc1"


def test_what_is_listed_already_is_not_proposed_again() -> None:
    config = {"target_modules": ["Wqkv", "q_proj"], "layers_to_transform": [0]}
    [finding] = found(RULE, "Phi-2", config)
    assert finding.hint == "Write 'k_proj', 'v_proj'."


@pytest.mark.parametrize(
    ("end", "is_mended"), [(r".*\.(q_proj|v_proj)", True), (".*(self_attn|mlp).*", False)]
)
def test_pattern_is_moved_only_where_peft_takes_it_then(end: str, is_mended: bool) -> None:
    pattern = rf"language_model\.model\.layers{end}"
    [finding] = found(RULE, "Qwen2.5-VL-7B", {"target_modules": pattern})
    moved = rf"model\.language_model\.layers{end}"
    assert moved in finding.hint
    assert [edit.value for edit in finding.edits] == ([moved] if is_mended else [])
    assert ("PEFT refuses those" in finding.hint) is not is_mended
