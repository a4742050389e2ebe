"""LT040, LT041: values with which an adapter contributes nothing, or more than it can."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking import findings_of, subject_of
from lorascope.checking.rules.lt040_no_contribution import RULE as NOTHING
from lorascope.checking.rules.lt041_rank_above_full import RULE as ABOVE
from lorascope.core.recipe import Tool
from lorascope.formats import read_recipes


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"r": 0}, "r"),
        ({"r": -8}, "r"),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"lora_dropout": 1.0}, "lora_dropout"),
        ({"lora_dropout": 5}, "lora_dropout"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern"),
        ({"alpha_pattern": {"q_proj": 0}}, "alpha_pattern"),
    ],
)
def test_value_that_contributes_nothing(more: dict[str, object], where: str) -> None:
    config = {"target_modules": ["q_proj", "v_proj"], **more}
    [finding] = found(NOTHING, "Llama-3.1-8B", config)
    assert (finding.where, finding.severity) == (where, "error")


@pytest.mark.parametrize(
    "more",
    [
        {"r": 1, "lora_alpha": 1},
        {"lora_alpha": 0.5},
        {"lora_dropout": 0.99},
        {"alpha_pattern": {"down_proj": 0}},  # decides nothing, the matter of LT028
        {"rank_pattern": {"q_proj": 1}},
    ],
)
def test_small_values_are_fine(more: dict[str, object]) -> None:
    assert found(NOTHING, "Llama-3.1-8B", {"target_modules": ["q_proj"], **more}) == ()


def test_llama_factory_takes_an_alpha_of_0_for_none() -> None:
    text = "model_name_or_path: m\nstage: sft\nlora_target: q_proj\nlora_alpha: 0\n"
    assert found(NOTHING, "Llama-3.1-8B", text, tool=Tool.LLAMAFACTORY) == ()
    [recipe] = read_recipes(text, "f.yaml", Tool.LLAMAFACTORY)
    assert findings_of(subject_of(recipe), (NOTHING,)) == ()
    text = text.replace("alpha", "rank")
    [finding] = found(NOTHING, "Llama-3.1-8B", text, tool=Tool.LLAMAFACTORY)
    assert finding.where == "r"


def test_rank_above_the_smaller_side() -> None:
    config = {"target_modules": ["q_proj", "k_proj"], "r": 256}
    [finding] = found(ABOVE, "Qwen2.5-0.5B", config)
    assert finding.severity == "info"
    assert "896 → 128" in finding.message


@pytest.mark.parametrize(
    ("model", "config"),
    [
        ("Qwen2.5-0.5B", {"target_modules": ["q_proj", "k_proj"], "r": 128}),
        ("Qwen3-30B-A3B", {"target_modules": "all-linear", "r": 16}),
        ("GPT-2", {"target_modules": ["c_attn"], "r": 512}),
    ],
)
def test_rank_that_the_matrix_can_have(model: str, config: dict[str, object]) -> None:
    assert found(ABOVE, model, config) == ()
