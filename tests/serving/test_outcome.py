"""By which factor each part of an adapter answers at an engine."""

from __future__ import annotations

from typing import Any

import pytest

from builders import llama
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.serving.engines import Feature, engines
from lorascope.serving.outcome import Outcome, outcome
from lorascope.serving.troubles import Severity, limits, troubles

MODEL = llama(3, cls="LlamaForCausalLM")
MIXED = {
    "target_modules": ("q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"),
    "r": 8,
    "lora_alpha": 16,
    "rank_pattern": {"gate_proj": 4, "up_proj": 4, "down_proj": 4},
}
CONSTANT = MIXED | {"alpha_pattern": {"gate_proj": 8, "up_proj": 8, "down_proj": 8}}


def served(engine: str, **fields: Any) -> Outcome:
    spec = LoraSpec(**fields)
    return outcome(engines()[engine], spec, match(MODEL, spec), MODEL)


@pytest.mark.parametrize(
    ("engine", "fields", "factors"),
    [
        ("vllm", MIXED, {1.0: 15}),
        ("vllm", CONSTANT, {1.0: 15}),
        ("tgi", MIXED, {0.5: 9, 1.0: 6}),
        ("lorax", CONSTANT, {1.0: 15}),
        ("llama.cpp", MIXED, {1.0: 15}),
        ("llama.cpp", CONSTANT, {2.0: 9, 1.0: 6}),
        ("sglang", MIXED, {None: 15}),
        ("peft", MIXED, {1.0: 15}),
        (
            "sglang",
            {"target_modules": ("q_proj", "v_proj"), "r": 16, "use_rslora": True},
            {0.25: 6},
        ),
        ("vllm", {"target_modules": ("q_proj", "v_proj"), "r": 16, "use_rslora": True}, {1.0: 6}),
        ("tgi", {"target_modules": ("q_proj",), "use_dora": True}, {1.0: 3}),
    ],
)
def test_factors(engine: str, fields: dict[str, Any], factors: dict[float | None, int]) -> None:
    parts = served(engine, **fields).parts
    assert {part.factor: len(part.paths) for part in parts} == factors


def test_words() -> None:
    first = served("tgi", **MIXED).parts[0]
    assert first.text == "x0.5 on 9 modules (gate_proj, up_proj, down_proj)"
    assert (first.trained, first.served) == (4.0, 2.0)


def test_alpha_alone_is_ignored_by_sglang() -> None:
    found = served("sglang", target_modules=("q_proj", "v_proj"), alpha_pattern={"v_proj": 32})
    assert {part.factor for part in found.parts} == {1.0, 0.25}
    assert not found.is_refused


def test_uneven_layers_are_left_out() -> None:
    found = served("tgi", target_modules=("q_proj",), layers_to_transform=(0, 1))
    assert [part.factor for part in found.parts] == [0.0]


def test_options_are_not_refusals() -> None:
    found = served("vllm", target_modules=("q_proj",), r=48)
    assert (found.is_refused, found.options) == (False, ("--max-lora-rank 64",))


def test_the_global_rank_counts_even_if_no_target_has_it() -> None:
    spec = LoraSpec(target_modules=("q_proj",), r=64, rank_pattern={"q_proj": 8})
    [trouble] = limits(engines()["vllm"], spec, match(MODEL, spec), MODEL)
    assert (trouble.feature, trouble.severity) == (Feature.RANK, Severity.OPTION)


@pytest.mark.parametrize(("names", "is_refused"), [(("score",), False), (("embed_tokens",), True)])
def test_vllm_takes_saved_classification_heads(names: tuple[str, ...], is_refused: bool) -> None:
    spec = LoraSpec(target_modules=("q_proj",), modules_to_save=names)
    assert bool(limits(engines()["vllm"], spec, None, None)) is is_refused


@pytest.mark.parametrize("init", ["pissa", "olora", "loftq"])
def test_a_changed_base_is_refused(init: str) -> None:
    spec = LoraSpec(target_modules=("q_proj",), init_lora_weights=init)
    [trouble] = limits(engines()["vllm"], spec, None, None)
    assert trouble.feature is Feature.CHANGED_BASE
    assert "path_initial_model_for_weight_conversion" in trouble.instead


def test_everything_in_the_way_at_once() -> None:
    spec = LoraSpec(**MIXED)
    found = troubles(engines()["tgi"], MODEL, match(MODEL, spec))
    assert [each.feature for each in found] == [Feature.PATTERNS]
    assert len(found[0].paths) == 9


@pytest.mark.parametrize(
    ("fields", "factors"),
    [
        ({"target_modules": ("q_proj", "v_proj"), "r": 4}, {1.0: 3, 0.5: 3}),
        ({"target_modules": ("q_proj",), "r": 4}, {1.0: 3}),
        ({"target_modules": ("q_proj", "v_proj"), "r": 4, "use_rslora": True}, {1.0: 3, 0.707: 3}),
        ({"target_modules": ("q_proj", "v_proj"), "r": 16}, {1.0: 6}),
        (
            {
                "target_modules": ("q_proj", "k_proj", "v_proj"),
                "r": 8,
                "rank_pattern": {"k_proj": 12},
            },
            {1.0: 3, 1.5: 3, 0.5: 3},
        ),
    ],
)
def test_padded_ranks(fields: dict[str, Any], factors: dict[float, int]) -> None:
    """TGI: `prepare_weights` sets config.r to the padded rank after each kind of layer."""
    parts = served("tgi", **fields).parts
    assert {round(part.factor or 0, 3): len(part.paths) for part in parts} == factors
