"""LT037 and LT038: PEFT refuses, or lorascope does not know; and the last resort's manners."""

from __future__ import annotations

import pytest
from check_models import codes, subject
from one_rule import found

from lorascope.checking import RULES, Example, findings_of
from lorascope.checking.rules.lt030_engine_limit import RULE as ENGINE
from lorascope.checking.rules.lt037_refused_by_peft import RULE
from lorascope.checking.rules.lt038_not_modelled import RULE as UNMODELLED
from lorascope.checking.rules.lt040_no_contribution import RULE as NOTHING
from lorascope.core.recipe import Tool


@pytest.mark.parametrize(
    ("model", "config", "where"),
    [
        ("Wav2Vec2-base", {"target_modules": ["conv"], "r": 8}, ""),
        ("Llama-3.1-8B", {"target_modules": ["q_proj"], "bias": "some"}, "bias"),
        (
            "Llama-3.1-8B",
            {"target_modules": ["q_proj"], "init_lora_weights": "pizza"},
            "init_lora_weights",
        ),
        (
            "Llama-3.1-8B",
            # Letter by letter: q_proj itself is saved as well.
            {"target_modules": ["q_proj"], "modules_to_save": ["_proj"]},
            "modules_to_save",
        ),
    ],
)
def test_reason_of_peft_is_told(model: str, config: dict[str, object], where: str) -> None:
    [finding] = found(RULE, model, config)
    assert finding.message.startswith("PEFT refuses this: ")
    assert finding.where == where


def test_it_is_dropped_if_another_rule_tells() -> None:
    known = subject(Example("Llama-3.1-8B", {"target_modules": ["q_proj"], "r": 0}))
    assert known.refused is not None
    assert [f.code for f in findings_of(known, (NOTHING, RULE))] == ["LT040"]
    assert [f.code for f in findings_of(known, (RULE,))] == ["LT037"]


def test_an_engine_is_no_reason_of_peft() -> None:
    config = {"target_modules": ["q_proj"], "use_dora": True, "lora_bias": True}
    known = subject(Example("Llama-3.1-8B", config, engines=("vllm",)))
    assert {f.code for f in findings_of(known, (ENGINE, RULE))} == {"LT030", "LT037"}


def test_only_one_rule_is_a_last_resort() -> None:
    assert {rule.code for rule in RULES if rule.last_resort} <= {"LT037"}


def test_slow_pattern_is_a_warning() -> None:
    config = {"target_modules": r"(.*)*(.*)*(.*)*(.*)*x" * 3}
    known = subject(Example("Llama-3.1-8B", config))
    if known.unmodelled is None:
        pytest.skip("this Python matches it in time")
    [finding] = findings_of(known, (UNMODELLED,))
    assert finding.severity == "warning"


def test_working_configuration_is_silent() -> None:
    assert "LT037" not in codes("Llama-3.1-8B", {"target_modules": ["q_proj"]})
    assert found(UNMODELLED, "Llama-3.1-8B", {"target_modules": ["q_proj"]}) == ()


def test_refusal_of_a_tool_names_its_setting_and_place() -> None:
    text = (
        "model:\n  _component_: torchtune.models.qwen2_5.lora_qwen2_5_0_5b\n"
        "  lora_attn_modules: [q_proj]\n  apply_lora_to_output: True\n"
    )
    [finding] = found(RULE, "Qwen2.5-0.5B", text, tool=Tool.TORCHTUNE)
    assert finding.message.startswith("torchtune refuses this: model.apply_lora_to_output is true")
    assert (finding.where, finding.entry) == ("", "apply_lora_to_output")
    assert finding.spot is not None
    assert finding.spot.line == 4


def test_what_a_tool_lacks_is_refused_by_the_tool() -> None:
    text = "base_model: m\nadapter: lora\nlora_r: 8\nlora_target_modules: [q_proj]\n"
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.AXOLOTL)
    assert finding.message == (
        "Axolotl refuses this: lora_alpha is missing; Axolotl has no default for it."
    )


def test_missing_keys_of_mlx_lm_hide_nothing_else() -> None:
    text = "model: m\nlora_parameters:\n  keys: [self_attn.q_proj]\n  rnak: 8\n  rank: 8\n"
    known = subject(Example("Llama-3.1-8B", text, Tool.MLX_LM))
    assert known.refused is not None
    by_code = {finding.code: finding for finding in findings_of(known)}
    assert "LT039" in by_code
    told = by_code["LT037"]
    assert told.message.startswith("mlx-lm refuses this: lora_parameters has no scale and no dropo")
    assert "scale: 20.0" in told.hint
    assert told.spot is not None
    assert told.spot.line == 2
