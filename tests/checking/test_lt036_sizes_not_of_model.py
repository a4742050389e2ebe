"""LT036: a base model of other sizes than the one that is meant."""

from __future__ import annotations

from dataclasses import replace

from check_models import subject
from one_rule import found

from lorascope.checking import Example, findings_of, subject_of
from lorascope.checking.rules.lt036_sizes_not_of_model import RULE
from lorascope.core.recipe import Recipe, Tool

_TARGETS = {"target_modules": ["q_proj"]}
_LAYERS = "base_model.model.model.layers"


def _tensors(width: int) -> dict[str, tuple[int, ...]]:
    return {f"{_LAYERS}.{i}.self_attn.q_proj.lora_A.weight": (8, width) for i in range(3)}


def test_adapter_of_another_size_than_the_defaults() -> None:
    [finding] = found(RULE, "gemma3_text", _TARGETS, tensors=_tensors(2560))
    assert "2,304 features, where the adapter was trained on 2,560" in finding.message
    assert "3 of its 3 targets" in finding.message
    assert finding.entry == "gemma3_text"


def test_adapter_of_the_defaults_own_size() -> None:
    assert found(RULE, "gemma3_text", _TARGETS, tensors=_tensors(2304)) == ()


def test_model_that_was_named_itself_is_another_rules_matter() -> None:
    assert found(RULE, "Llama-3.1-8B", _TARGETS, tensors=_tensors(2560)) == ()


def test_no_tensors_are_no_finding() -> None:
    assert found(RULE, "gemma3_text", _TARGETS) == ()


def test_sizes_that_the_class_ignores() -> None:
    recipe = Recipe(Tool.PEFT, "test", _TARGETS, base_model="someone/gemma-3-4b-text")
    told = "The config is of type 'gemma3', whose class ignores hidden_size 2560."
    checked = replace(subject_of(recipe), ignored_sizes=told)
    [finding] = findings_of(checked, (RULE,))
    assert finding.severity == "error"
    assert finding.entry == "someone/gemma-3-4b-text"
    assert told in finding.message
    assert findings_of(subject_of(recipe), (RULE,)) == ()
    assert subject(Example("gemma3_text", _TARGETS)).ignored_sizes is None
