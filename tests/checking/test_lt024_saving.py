"""LT024 and LT025: what `modules_to_save` names, and what it takes away from LoRA."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking.rules.lt024_saved_matches_nothing import RULE as NOTHING
from lorascope.checking.rules.lt025_targeted_and_saved import RULE as BOTH
from lorascope.core.recipe import Edit


def test_name_of_another_architecture_is_corrected() -> None:
    config = {"target_modules": ["c_attn"], "modules_to_save": ["embed_tokens", "lm_head"]}
    [finding] = found(NOTHING, "GPT-2", config)
    assert finding.entry == "embed_tokens"
    assert finding.edits == (Edit("modules_to_save", "embed_tokens", ("wte",)),)


def test_name_of_a_parameter_is_cut() -> None:
    config = {"target_modules": ["q_proj"], "modules_to_save": ["lm_head.weight"]}
    [finding] = found(NOTHING, "Llama-3.1-8B", config)
    assert finding.edits == (Edit("modules_to_save", "lm_head.weight", ("lm_head",)),)


def test_unknown_name_has_no_edit() -> None:
    config = {"target_modules": ["q_proj"], "modules_to_save": ["value_head"]}
    [finding] = found(NOTHING, "Llama-3.1-8B", config)
    assert finding.edits == ()


def test_heads_that_peft_itself_tries_are_no_matter() -> None:
    # PEFT writes both names into every adapter for classification that it saves.
    config = {
        "target_modules": ["q_proj", "v_proj"],
        "modules_to_save": ["classifier", "score"],
        "task_type": "SEQ_CLS",
    }
    assert found(NOTHING, "Llama-3.1-8B", config, task_type="SEQ_CLS") == ()


def test_ends_count_letter_by_letter() -> None:
    config = {"target_modules": ["q_proj"], "modules_to_save": ["tokens", "head"]}
    assert found(NOTHING, "Llama-3.1-8B", config) == ()


def test_module_in_both_lists() -> None:
    config = {"target_modules": ["q_proj", "lm_head"], "modules_to_save": ["lm_head"]}
    [finding] = found(BOTH, "Llama-3.1-8B", config)
    assert "525,336,576" in finding.message
    assert finding.edits == (Edit("target_modules", "lm_head", ()),)


def test_module_inside_a_saved_one() -> None:
    config = {"target_modules": ["q_proj", "linear_1"], "modules_to_save": ["projector"]}
    assert found(BOTH, "Llama-3.1-8B", config) == ()
    config = {"target_modules": ["query", "pooler.dense"], "modules_to_save": ["pooler"]}
    [finding] = found(BOTH, "BERT-base", config, task_type="SEQ_CLS")
    assert finding.entry == "pooler.dense"


@pytest.mark.parametrize(
    "config",
    [
        # `dense` is in every block, and in the saved pooler besides.
        {"target_modules": ["query", "dense"], "modules_to_save": ["pooler"]},
        {"target_modules": "all-linear", "modules_to_save": ["pooler"]},
        {"target_modules": ".*(query|dense)", "modules_to_save": ["pooler"]},
    ],
)
def test_saved_module_among_many_targeted_is_as_meant(config: dict[str, object]) -> None:
    assert found(BOTH, "BERT-base", config, task_type="SEQ_CLS") == ()


def test_only_target_is_not_edited_away() -> None:
    config = {
        "target_modules": ["lm_head"],
        "target_parameters": ["experts.down_proj"],
        "modules_to_save": ["lm_head"],
    }
    [finding] = found(BOTH, "Qwen3-30B-A3B", config)
    assert finding.edits == ()
