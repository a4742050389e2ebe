"""LT031: what quantization leaves out or breaks."""

from __future__ import annotations

import pytest
from one_rule import found

from lorascope.checking.rules.lt031_not_quantized import RULE
from lorascope.core.recipe import Tool

_AXOLOTL = "adapter: qlora\nload_in_4bit: true\nlora_r: 8\nlora_alpha: 16\n"


def _axolotl(model: str, more: str) -> str:
    return f"base_model: {model}\n{_AXOLOTL}{more}"


def test_stacked_experts_stay_as_they_are() -> None:
    text = _axolotl("Qwen/Qwen3-30B-A3B", "lora_target_modules: [q_proj, v_proj]\n")
    [finding] = found(RULE, "Qwen3-30B-A3B", text, tool=Tool.AXOLOTL)
    assert "54.0 GiB" in finding.message
    assert "quantize_moe_experts" in finding.hint


def test_llamafactory_says_it_with_bits() -> None:
    text = (
        "model_name_or_path: Qwen/Qwen3-30B-A3B\nstage: sft\nfinetuning_type: lora\n"
        "quantization_bit: 4\nlora_target: q_proj,v_proj\n"
    )
    [finding] = found(RULE, "Qwen3-30B-A3B", text, tool=Tool.LLAMAFACTORY)
    assert finding.message.startswith("quantization_bit")


def test_kernel_reads_a_packed_weight() -> None:
    text = _axolotl("state", "lora_target_modules: [in_proj]\n")
    [finding] = found(RULE, "bamba", text, tool=Tool.AXOLOTL)
    assert "out_proj" in finding.message
    assert "bnb_config_kwargs: {llm_int8_skip_modules: [lm_head, out_proj]}" in finding.hint


def test_hint_names_no_key_that_the_tool_lacks() -> None:
    text = (
        "model_name_or_path: state\nstage: sft\nfinetuning_type: lora\n"
        "quantization_bit: 4\nlora_target: in_proj\n"
    )
    [finding] = found(RULE, "bamba", text, tool=Tool.LLAMAFACTORY)
    assert finding.hint.startswith("Train without quantization_bit")


def test_jamba_calls_its_layers_where_it_is_quantized() -> None:
    text = _axolotl("state", "lora_target_modules: [in_proj]\n")
    assert not any(
        "packs" in each.message for each in found(RULE, "jamba", text, tool=Tool.AXOLOTL)
    )


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("Llama-3.1-8B", ""),
        ("Qwen3-30B-A3B", "quantize_moe_experts: true\n"),
        ("Falcon-H1-0.5B", ""),  # Axolotl itself keeps out_proj out
    ],
)
def test_quantization_that_is_fine(model: str, more: str) -> None:
    text = _axolotl(model, f"lora_target_modules: [q_proj, v_proj]\n{more}")
    assert found(RULE, model, text, tool=Tool.AXOLOTL) == ()


def test_nothing_without_quantization() -> None:
    text = "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 8\nlora_target_linear: true\n"
    assert found(RULE, "Qwen3-30B-A3B", text, tool=Tool.AXOLOTL) == ()
