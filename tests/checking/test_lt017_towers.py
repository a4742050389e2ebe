"""LT017 and LT018: which part of a composite model the targets reach."""

from __future__ import annotations

import re
from typing import Any

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example
from lorascope.checking.rules.lt017_perception_tower import RULE as TOWER
from lorascope.checking.rules.lt018_encoder_and_decoder import RULE as BOTH
from lorascope.core.recipe import Tool
from lorascope.core.roles import Tower

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def _towers(model: str, config: dict[str, Any]) -> set[Tower]:
    return {row.tower for _, row in subject(Example(model, config)).adapted}


@pytest.mark.parametrize(
    ("model", "targets", "entry", "modules"),
    [
        ("Gemma-3-4B", ["q_proj", "v_proj"], "q_proj", 54),
        # In its encoder only the feed-forward is called as in the language model.
        ("Qwen2.5-VL-7B", SEVEN, "gate_proj", 96),
        ("Qwen2.5-VL-7B", "all-linear", "all-linear", 160),
        ("mistral3", ["q_proj", "v_proj"], "q_proj", None),
        ("Llama-4-Scout", None, "q_proj", 68),
    ],
)
def test_tower_is_reached(model: str, targets: Any, entry: str, modules: int | None) -> None:
    [finding] = found(TOWER, model, {"target_modules": targets})
    assert (finding.severity, finding.entry) == ("warning", entry)
    if modules is not None:
        assert f"{modules} modules of the vision tower" in finding.message


@pytest.mark.parametrize("model", ["Gemma-3-4B", "Qwen2.5-VL-7B", "Llama-4-Scout"])
@pytest.mark.parametrize("targets", [SEVEN, "all-linear"])
def test_both_ways_of_the_hint_keep_to_the_language_model(model: str, targets: Any) -> None:
    [finding] = found(TOWER, model, {"target_modules": targets})
    excluded, wanted = re.findall(r"to the string '([^']+)'", finding.hint)
    config = {"target_modules": targets, "exclude_modules": excluded}
    assert _towers(model, config) <= {Tower.TEXT, Tower.PROJECTOR}
    assert _towers(model, {"target_modules": wanted}) == {Tower.TEXT}
    assert found(TOWER, model, config) == found(TOWER, model, {"target_modules": wanted}) == ()


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("Gemma-3-4B", r"model\.language_model\..*\.(q|v)_proj"),
        # The tower is named, or nothing else has the name.
        ("Gemma-3-4B", r".*(vision_tower|language_model).*\.(q|v)_proj"),
        ("Qwen2.5-VL-7B", ["qkv", "q_proj"]),
        ("Qwen2.5-VL-7B", ["q_proj", "v_proj"]),
        # Two towers that are equals, or one that is all there is.
        ("CLIP-ViT-B-32", ["q_proj", "v_proj"]),
        ("ViT-base", "all-linear"),
        ("Wav2Vec2-base", ["q_proj", "v_proj"]),
        ("Whisper-small", ["q_proj", "v_proj"]),
        ("Llama-3.1-8B", "all-linear"),
    ],
)
def test_no_tower_or_one_that_is_meant(model: str, targets: Any) -> None:
    assert found(TOWER, model, {"target_modules": targets}) == ()


def test_full_names_of_both_are_a_choice() -> None:
    names = [
        "model.vision_tower.encoder.layers.0.self_attn.q_proj",
        "model.language_model.layers.0.self_attn.q_proj",
    ]
    assert found(TOWER, "Gemma-3-4B", {"target_modules": names}) == ()


@pytest.mark.parametrize("freeze", ["", "freeze_vision_tower: false\n"])
def test_tool_that_leaves_towers_out_or_is_told_not_to(freeze: str) -> None:
    text = f"model_name_or_path: x\nfinetuning_type: lora\nlora_target: all\n{freeze}"
    assert found(TOWER, "Gemma-3-4B", text, tool=Tool.LLAMAFACTORY) == ()


def test_hint_names_no_key_that_a_tool_has_not() -> None:
    text = (
        "base_model: x\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_modules: [q_proj]\n"
    )
    [finding] = found(TOWER, "Gemma-3-4B", text, tool=Tool.AXOLOTL)
    assert "exclude_modules" not in finding.hint
    assert "lora_target_modules to the string" in finding.hint


@pytest.mark.parametrize("model", ["bart", "Whisper-small"])
def test_cross_attention_has_the_encoders_name(model: str) -> None:
    config = {"target_modules": r".*encoder.*\.(q_proj|v_proj)"}
    [finding] = found(BOTH, model, config)
    assert finding.severity == "warning"
    assert "24 modules of the decoder" in finding.message
    [pattern] = re.findall(r"'([^']+)'", finding.hint)
    assert _towers(model, {"target_modules": pattern}) == {Tower.ENCODER}
    assert found(BOTH, model, {"target_modules": pattern}) == ()


def test_bare_names_on_an_encoder_that_hears_are_worth_knowing() -> None:
    [finding] = found(BOTH, "Whisper-small", {"target_modules": ["q_proj", "v_proj"]})
    assert finding.severity == "info"
    assert "24 modules of the encoder and 48 of the decoder" in finding.message
    [pattern] = re.findall(r"'([^']+)'", finding.hint)
    assert _towers("Whisper-small", {"target_modules": pattern}) == {Tower.DECODER}


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        # PEFT's own defaults.
        ("T5-base", None),
        ("bart", None),
        ("T5-base", ["q", "k", "v", "o", "wi", "wo"]),
        ("bart", "all-linear"),
        ("T5-base", r".*decoder.*(SelfAttention|EncDecAttention).*(q|v)$"),
        ("Whisper-small", ".*decoder.*(q_proj|v_proj|fc1|fc2)"),
        ("Whisper-small", ["encoder_attn.q_proj", "encoder_attn.v_proj"]),
        ("bart", r"(?!.*encoder_attn).*encoder.*\.q_proj"),
        ("bart", r"model\.(encoder|decoder)\..*\.q_proj"),
        ("Llama-3.1-8B", "all-linear"),
    ],
)
def test_both_are_meant_or_one_is_hit(model: str, targets: Any) -> None:
    assert found(BOTH, model, {"target_modules": targets}) == ()


@pytest.mark.parametrize(("said", "count"), [("", 1), ("  encoder_trainable: lora\n", 0)])
def test_torchtune_has_a_key_for_the_tower(said: str, count: int) -> None:
    text = (
        "model:\n  _component_: torchtune.models.llama3_2_vision.lora_llama3_2_vision_11b\n"
        f"  lora_attn_modules: [q_proj, v_proj]\n  decoder_trainable: lora\n{said}"
    )
    hints = [finding.hint for finding in found(TOWER, "mllama", text, tool=Tool.TORCHTUNE)]
    way = "For the language model alone set model.encoder_trainable to frozen."
    assert hints == [way] * count
