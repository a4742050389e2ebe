import ast
from typing import Any

import pytest
from real_models import GPT2, LLAMA, MIXTRAL, PHI, VISION, exported, lost, wanted

from lorascope.core.errors import SpecificationError
from lorascope.core.export import Trainer
from lorascope.exporting.exporter import Draft
from lorascope.exporting.unsloth import EXPORTER


def said(text: str) -> tuple[str, dict[str, Any]]:
    """Return the class that loads, and the arguments of `get_peft_model`."""
    call = ast.parse(text).body[-1]
    assert isinstance(call, ast.Assign)
    assert isinstance(call.value, ast.Call)
    loader = ast.unparse(call.value.func).partition(".")[0]
    return loader, {str(each.arg): ast.literal_eval(each.value) for each in call.value.keywords}


@pytest.mark.parametrize("name", [LLAMA, PHI, MIXTRAL, VISION, GPT2])
@pytest.mark.parametrize("preset", ["qv", "extended", "all-linear"])
def test_every_plan_is_exact(name: str, preset: str) -> None:
    assert exported(Trainer.UNSLOTH, name, preset).losses == ()


def test_its_own_models_load_with_the_language_class_and_others_with_the_general_one() -> None:
    loader, arguments = said(exported(Trainer.UNSLOTH, LLAMA, dropout=0.05).text)
    assert loader == "FastLanguageModel"
    assert arguments == {
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "target_modules": ["q_proj", "v_proj"],
    }
    assert said(exported(Trainer.UNSLOTH, VISION).text)[0] == "FastModel"


def test_ranks_by_module_are_arguments() -> None:
    _, arguments = said(exported(Trainer.UNSLOTH, LLAMA, "extended").text)
    assert arguments["rank_pattern"] == {"gate_proj": 4, "up_proj": 4, "down_proj": 4}


def test_experts_are_always_named_since_unsloth_adds_them_by_itself() -> None:
    _, arguments = said(exported(Trainer.UNSLOTH, MIXTRAL).text)
    assert arguments["target_parameters"] == []
    plan = wanted(MIXTRAL)
    bare = Draft({"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": ["down_proj"]})
    added = EXPORTER.adapts(bare, plan).adapted
    assert set(added) == {f"model.layers.{n}.mlp.experts.down_proj" for n in range(32)}


def test_a_head_among_the_targets_is_trained_whole() -> None:
    found = exported(Trainer.UNSLOTH, LLAMA, more={"target_modules": ["q_proj", "lm_head"]})
    assert found.losses == () or ("modules_to_save", 1) in lost(found)
    plan = wanted(LLAMA)
    draft = Draft({"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "lm_head"]})
    outcome = EXPORTER.adapts(draft, plan)
    assert outcome.saved == {"lm_head"}
    assert "lm_head" not in outcome.adapted
    with pytest.raises(SpecificationError, match="lm_head"):
        EXPORTER.adapts(Draft({**draft.document, "target_modules": ["lm_head"]}), plan)


def test_saved_head_keeps_the_language_class_and_other_modules_do_not() -> None:
    loader, arguments = said(
        exported(Trainer.UNSLOTH, LLAMA, more={"modules_to_save": ["lm_head"]}).text
    )
    assert (loader, arguments["modules_to_save"]) == ("FastLanguageModel", ["lm_head"])
    more = {"modules_to_save": ["model.layers.0.mlp"]}
    assert said(exported(Trainer.UNSLOTH, LLAMA, more=more).text)[0] == "FastModel"


def test_a_pattern_is_a_raw_string() -> None:
    text = exported(Trainer.UNSLOTH, LLAMA, more={"target_modules": r".*\.[qv]_proj"}).text
    assert r'target_modules=r".*\.[qv]_proj"' in text
