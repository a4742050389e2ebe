"""LT043: settings of a trainer that override one another."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking.rules.lt043_overridden_setting import RULE
from lorascope.core.recipe import Tool


def _axolotl(targets: str, linear: str = "true") -> str:
    return (
        "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
        f"lora_target_linear: {linear}\nlora_target_modules: {targets}\n"
    )


def test_list_restricts_nothing() -> None:
    text = _axolotl("[q_proj, v_proj]")
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.AXOLOTL)
    assert "160 more linear layers" in finding.message
    assert finding.severity == "warning"


def test_pattern_becomes_a_name() -> None:
    text = _axolotl(r"'.*\.(q|v)_proj'")
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.AXOLOTL)
    assert "one entry of a list" in finding.message


@pytest.mark.parametrize(
    "text",
    [
        _axolotl("[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]"),
        _axolotl("[q_proj, v_proj]", "false"),
        _axolotl("null"),
        _axolotl("[]"),
    ],
)
def test_settings_that_agree(text: str) -> None:
    assert found(RULE, "Llama-3.1-8B", text, tool=Tool.AXOLOTL) == ()


def test_swift_pattern_decides_alone() -> None:
    text = "swift sft --model x --target_modules q_proj --target_regex '.*\\.v_proj'\n"
    [finding] = found(RULE, "Llama-3.1-8B", text, tool=Tool.MS_SWIFT)
    assert "q_proj" in finding.message
    text = "swift sft --model x --target_regex '.*\\.v_proj'\n"
    assert found(RULE, "Llama-3.1-8B", text, tool=Tool.MS_SWIFT) == ()
