"""LT008 and LT009: targets that are no layers, or layers of a class without LoRA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from check_models import subject
from one_rule import found

from lorascope import api
from lorascope.checking import Example, findings_of, subject_of
from lorascope.checking.rules.lt008_container_as_target import RULE as LT008
from lorascope.checking.rules.lt009_class_without_lora import RULE as LT009
from lorascope.core.recipe import Recipe, Tool


@pytest.mark.parametrize(
    ("model", "entry", "inside"),
    [
        ("Llama-3.1-8B", "self_attn", "'q_proj', 'k_proj', 'v_proj', 'o_proj'"),
        ("Llama-3.1-8B", "mlp", "'gate_proj', 'up_proj', 'down_proj'"),
        ("GPT-2", "attn", "'c_attn', 'c_proj'"),
        ("BERT-base", "attention.self", "'query', 'key', 'value'"),
        ("ViT-base", "attention", "'q_proj', 'k_proj', 'v_proj', 'o_proj'"),
    ],
)
def test_container_gets_the_layers_in_it(model: str, entry: str, inside: str) -> None:
    assert subject(Example(model, {"target_modules": [entry]})).refused
    [finding] = found(LT008, model, {"target_modules": [entry]})
    assert inside in finding.hint
    assert "PEFT puts LoRA on single layers only" in finding.message
    assert found(LT009, model, {"target_modules": [entry]}) == ()


def test_experts_in_a_container_are_parameters() -> None:
    [finding] = found(LT008, "gpt-oss-20b", {"target_modules": ["q_proj", "experts"]})
    assert "target_parameters" in finding.hint
    assert "'experts.gate_up_proj', 'experts.down_proj'" in finding.hint


def test_pattern_that_is_too_wide() -> None:
    [finding] = found(LT008, "Llama-3.1-8B", {"target_modules": r".*self_attn.*"})
    assert "32 containers" in finding.message
    assert "q_proj, k_proj, v_proj, o_proj" in finding.hint


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["self_attn.q_proj", "mlp.up_proj"]},
        {"target_modules": ["self_attn", "q_proj"], "exclude_modules": ["self_attn"]},
        {"target_modules": r".*self_attn\..*_proj"},
        {"target_modules": "all-linear"},
    ],
)
def test_layers_are_no_finding(config: dict[str, object]) -> None:
    assert found(LT008, "Llama-3.1-8B", config) == ()
    assert found(LT009, "Llama-3.1-8B", config) == ()


@pytest.mark.parametrize(
    ("model", "entry", "cls"),
    [
        ("BERT-base", "dropout", "Dropout"),
        ("Llama-3.1-8B", "act_fn", "SiLUActivation"),
        ("Llama-3.1-8B", "input_layernorm", "LlamaRMSNorm"),
        ("gpt-oss-20b", "router", "GptOssTopKRouter"),
    ],
)
def test_layer_without_lora(model: str, entry: str, cls: str) -> None:
    checked = subject(Example(model, {"target_modules": [entry, "q_proj", "query"]}))
    assert checked.refused is not None
    assert cls in checked.refused
    [finding] = findings_of(checked, (LT009,))
    assert finding.entry == entry
    assert cls in finding.message
    assert "Remove the entry" in finding.hint


def test_norms_are_for_modules_to_save() -> None:
    [finding] = found(LT009, "Llama-3.1-8B", {"target_modules": ["norm", "q_proj"]})
    assert "modules_to_save" in finding.hint


def test_pattern_that_reaches_dropouts_as_well() -> None:
    # As in the report: every name with a word in it, whatever the class.
    config = {"target_modules": r".*attention.*(query|value|dropout)"}
    [finding] = found(LT009, "BERT-base", config)
    assert "24 of the 48 modules named are of class Dropout" in finding.message
    assert "exclude_modules with 'dropout'" in finding.hint


def test_tool_without_exclusions_is_told_another_way() -> None:
    text = (
        "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
        "lora_target_modules: '.*attention.*(query|value|dropout)'\n"
    )
    [finding] = found(LT009, "BERT-base", text, tool=Tool.AXOLOTL)
    assert "exclude_modules" not in finding.hint
    assert finding.hint == 'List the targets without: ["query", "value"].'


def _gemma4(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "gemma4",
                "architectures": ["Gemma4ForConditionalGeneration"],
                "text_config": {"model_type": "gemma4_text", "num_hidden_layers": 2},
                "vision_config": {
                    "model_type": "gemma4_vision",
                    "num_hidden_layers": 2,
                    "use_clipped_linears": True,
                },
            }
        )
    )
    return tmp_path


def test_clipped_linears_of_gemma4s_vision_tower(tmp_path: Path) -> None:
    built = api.inspect(_gemma4(tmp_path), cache=False)

    def check(config: dict[str, object]) -> list[str]:
        checked = subject_of(Recipe(Tool.PEFT, "test", config), built)
        return [finding.hint for finding in findings_of(checked, (LT009,))]

    [hint] = check({"target_modules": ["q_proj"]})
    pattern = r"model\.vision_tower\..*"
    assert pattern in hint
    assert "'q_proj.linear'" in hint
    assert check({"target_modules": ["q_proj"], "exclude_modules": pattern}) == []
    assert check({"target_modules": ["q_proj.linear"]}) == []
    assert check({"target_modules": r"model\.language_model\..*\.q_proj"}) == []


def test_wrapper_alone_gets_the_name_of_its_linear() -> None:
    [finding] = found(LT009, "gemma4_vision", {"target_modules": ["q_proj"]})
    assert finding.hint == "Name the linear layer in each: 'q_proj.linear'."
