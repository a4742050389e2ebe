"""LT035: branches of regular expressions that match nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from one_rule import found

from lorascope import api
from lorascope.checking import findings_of, subject_of
from lorascope.checking.alternations import alternations, only
from lorascope.checking.rules.lt035_dead_branch import RULE
from lorascope.core.recipe import Recipe, Tool

_COPIED = r"model.layers.[\d]+.(mlp|cross_attn|self_attn).(up|down|gate|q|k|v|o)_proj"
_COPIED_VL = _COPIED.replace("model.", "model.language_model.", 1)


@pytest.mark.parametrize("model", ["Gemma-3-4B", "Qwen2.5-VL-7B"])
def test_cross_attention_of_published_examples(model: str) -> None:
    [finding] = found(RULE, model, {"target_modules": _COPIED_VL})
    assert finding.severity == "warning"
    assert "'cross_attn'" in finding.message
    assert found(RULE, model, {"target_modules": _COPIED_VL.replace("cross_attn|", "")}) == ()


def test_half_of_the_branches_on_lfm2(tmp_path: Path) -> None:
    config = {
        "model_type": "lfm2_moe",
        "architectures": ["Lfm2MoeForCausalLM"],
        "num_hidden_layers": 3,
        "layer_types": ["conv", "full_attention", "conv"],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    built = api.inspect(tmp_path, cache=False)
    checked = subject_of(Recipe(Tool.AXOLOTL, "test", {"target_modules": _COPIED}), built)
    blocks, names = sorted(findings_of(checked, (RULE,)), key=lambda f: "mlp" not in f.message)
    assert "'mlp', 'cross_attn'" in blocks.message
    assert "'up', 'down', 'gate', 'o'" in names.message
    assert "feed_forward" in blocks.hint


def test_mllama_has_cross_attention(tmp_path: Path) -> None:
    config = {
        "model_type": "mllama",
        "architectures": ["MllamaForConditionalGeneration"],
        "text_config": {
            "model_type": "mllama_text_model",
            "num_hidden_layers": 3,
            "cross_attention_layers": [1],
        },
        "vision_config": {"model_type": "mllama_vision_model", "num_hidden_layers": 1},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    built = api.inspect(tmp_path, cache=False, observe=False)
    checked = subject_of(Recipe(Tool.PEFT, "test", {"target_modules": _COPIED_VL}), built)
    assert checked.targets
    assert findings_of(checked, (RULE,)) == ()


@pytest.mark.parametrize(
    ("pattern", "dead"),
    [
        (r".*\.(q|x)_proj", ["'x'"]),
        (r".*\.q_proj|.*\.foo", ["'.*\\\\.foo'"]),
        (r"(.*\.(q|x)_proj|.*\.up_proj)", ["'x'"]),
        (r"(?:.*\.q_proj|.*\.(y|z))", ["'.*\\\\.(y|z)'"]),
        (r"(?P<a>.*)\.(q_proj|w_proj)", ["'w_proj'"]),
    ],
)
def test_dead_branches(pattern: str, dead: list[str]) -> None:
    findings = found(RULE, "Llama-3.1-8B", {"target_modules": pattern})
    assert len(findings) == len(dead)
    for finding, branch in zip(findings, dead, strict=True):
        assert branch in finding.message


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.(q|v)_proj",
        r".*\.q_proj",
        r".*\.layers\.(3|7|11|15|19|23|27|31)\.self_attn\.(q|k|v|o)_proj|.*\.mlp\.(gate|up)_proj",
        r"model\.(language_model\.)?layers\..*\.q_proj",
        r"model\.(?:language_model\.|)layers\..*\.q_proj",
        r"(?!.*(vision|audio)).*\.q_proj",
        r".*\.[q|v]_proj",
        r".*\.q\|?_proj",
        r".*\.(?:q|v)_proj(?#or|else)",
        r"(foo|bar)",
        r"(.*)\.(q|v)_pro(j)(?:\1)?",
    ],
)
def test_patterns_without_dead_branches_are_silent(pattern: str) -> None:
    assert found(RULE, "Llama-3.1-8B", {"target_modules": pattern}) == ()


def test_lists_are_silent() -> None:
    assert found(RULE, "Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"]}) == ()


def test_alternations_with_their_branches() -> None:
    pattern = r"a(b|c\|d|[|)]e)(?:f|(g|h)i)|j"
    found_branches = [[b.text for b in each.branches] for each in alternations(pattern)]
    assert found_branches == [
        [r"a(b|c\|d|[|)]e)(?:f|(g|h)i)", "j"],
        ["b", r"c\|d", "[|)]e"],
        ["f", "(g|h)i"],
        ["g", "h"],
    ]


def test_one_branch_alone_of_all_around_it() -> None:
    pattern = r"a(b|c)(?:f|(g|h)i)|j"
    known = alternations(pattern)
    kept = {b.text: only(pattern, b, each, known) for each in known for b in each.branches}
    assert kept["j"] == "j"
    assert kept["c"] == "a(c)(?:f|(g|h)i)"
    assert kept["f"] == "a(b|c)(?:f)"
    assert kept["h"] == "a(b|c)(?:(h)i)"


@pytest.mark.parametrize("pattern", ["(a|b", "a|b)", "[a|b", r"(a|b)\1", "(?x)a|b", "a" * 30_000])
def test_what_is_not_understood_has_no_alternations(pattern: str) -> None:
    assert alternations(pattern) == ()


def test_a_dead_branch_is_not_what_the_model_has() -> None:
    """There is an `mlp`, but not right before one of these names."""
    pattern = r"model\.layers\.\d+\.(mlp|self_attn)\.o_proj"
    [finding] = found(RULE, "Llama-3.1-8B", {"target_modules": pattern})
    assert "'mlp'" in finding.message
    assert finding.hint == "Remove it, or write what this model has."
