"""LT004: which layers of a hybrid model the targets reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from one_rule import found

from lorascope import api
from lorascope.checking import findings_of, subject_of
from lorascope.checking.rules.lt004_few_layers_of_hybrid import RULE
from lorascope.core.finding import Finding
from lorascope.core.recipe import Recipe, Tool

_ATTENTION = {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}


@pytest.mark.parametrize(
    ("model", "numbers", "names"),
    [
        ("Jamba", "28 of the 32", ["in_proj", "x_proj"]),
        ("Qwen3-Next-80B", "36 of the 48", ["in_proj_qkvz", "out_proj"]),
        ("zamba2", "45 of the 54", ["in_proj"]),
        ("minimax", "16 of the 32", ["qkv_proj", "out_proj", "output_gate"]),
    ],
)
def test_attention_alone_passes_by_the_other_mixers(
    model: str, numbers: str, names: list[str]
) -> None:
    [finding] = found(RULE, model, _ATTENTION)
    assert finding.severity == "warning"
    assert numbers in finding.message
    more = {"target_modules": [*_ATTENTION["target_modules"], *names]}
    assert all(repr(name) in finding.hint for name in names)
    assert found(RULE, model, more) == ()


def test_layers_with_both_side_by_side_are_reached() -> None:
    assert found(RULE, "Falcon-H1-0.5B", _ATTENTION) == ()
    assert found(RULE, "Falcon-H1-0.5B", {"target_modules": ["in_proj"]}) == ()


def test_same_names_in_both_kinds_are_reached() -> None:
    # OLMo's linear attention has q_proj to o_proj, as its attention has.
    assert found(RULE, "olmo_hybrid", _ATTENTION) == ()


def test_few_layers_left_out_are_no_finding() -> None:
    assert found(RULE, "Jamba", {"target_modules": ["in_proj", "x_proj"]}) == ()
    assert found(RULE, "zamba2", {"target_modules": ["in_proj"]}) == ()


def test_feed_forwards_alone_are_no_choice_of_mixers() -> None:
    config = {"target_modules": ["gate_proj", "up_proj", "down_proj"]}
    assert found(RULE, "Falcon-H1-0.5B", config) == ()
    assert found(RULE, "recurrent_gemma", config) == ()


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Gemma-2-9B", "T5-base", "Whisper-small"])
def test_models_of_one_kind_of_mixer_are_silent(model: str) -> None:
    assert found(RULE, model, {"target_modules": ["q_proj", "v_proj", "q", "v"]}) == ()


def _on(tmp_path: Path, config: dict[str, object], targets: list[str]) -> tuple[Finding, ...]:
    (tmp_path / "config.json").write_text(json.dumps(config))
    built = api.inspect(tmp_path, cache=False)
    return findings_of(
        subject_of(Recipe(Tool.PEFT, "test", {"target_modules": targets}), built), (RULE,)
    )


def test_nemotron_h_as_published(tmp_path: Path) -> None:
    # The pattern of NVIDIA-Nemotron-Nano-9B-v2: 27 Mamba, 4 attention, 25 feed-forward layers.
    pattern = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
    config = {
        "model_type": "nemotron_h",
        "architectures": ["NemotronHForCausalLM"],
        "hybrid_override_pattern": pattern,
        "num_hidden_layers": len(pattern),
    }
    [finding] = _on(tmp_path, config, ["q_proj", "k_proj", "v_proj", "o_proj"])
    assert "27 of the 31" in finding.message
    assert "'in_proj'" in finding.hint
    assert "out_proj" not in finding.hint


def test_short_convolutions_of_lfm2(tmp_path: Path) -> None:
    kinds = ["conv", "conv", "full_attention", "conv", "conv", "full_attention"]
    config = {
        "model_type": "lfm2",
        "architectures": ["Lfm2ForCausalLM"],
        "layer_types": kinds,
        "num_hidden_layers": len(kinds),
    }
    [finding] = _on(tmp_path, config, ["q_proj", "k_proj", "v_proj"])
    assert "In 4 of the 6 layers that mix tokens, a short convolution does it" in finding.message
    # out_proj is the name of both kinds' last projection.
    assert _on(tmp_path, config, ["q_proj", "out_proj"]) == ()
