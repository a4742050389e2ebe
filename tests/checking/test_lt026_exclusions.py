"""LT026: exclusions that exclude nothing."""

from __future__ import annotations

import pytest
from check_models import subject
from one_rule import found

from lorascope.checking import Example
from lorascope.checking.rules.lt026_exclusion_without_effect import RULE


def _config(exclude: object) -> dict[str, object]:
    return {"target_modules": ["q_proj", "v_proj"], "exclude_modules": exclude}


@pytest.mark.parametrize(
    "exclude",
    [["vision_tower"], ["model.vision_tower"], "vision_tower", r".*vision_tower", r".*\.encoder"],
)
def test_container_is_mended_by_a_pattern(exclude: object) -> None:
    before = subject(Example("Gemma-3-4B", _config(exclude)))
    assert any("vision" in path for path in before.adapted_paths)
    [finding] = found(RULE, "Gemma-3-4B", _config(exclude))
    assert "54 adapted modules" in finding.message
    [edit] = finding.edits
    after = subject(Example("Gemma-3-4B", _config(edit.value)))
    assert after.adapted_paths
    assert not any("vision" in path for path in after.adapted_paths)
    assert found(RULE, "Gemma-3-4B", _config(edit.value)) == ()


def test_several_containers_become_one_pattern() -> None:
    config = {
        "target_modules": "all-linear",
        "exclude_modules": ["vision_tower", "multi_modal_projector"],
    }
    findings = found(RULE, "Llama-4-Scout", config | {"exclude_modules": ["vision_model"]})
    assert [finding.entry for finding in findings] == ["vision_model"]
    # The projector of this model is a bare parameter: nothing adapted is inside it.
    assert [f.entry for f in found(RULE, "Gemma-3-4B", config)] == ["vision_tower"]


def test_the_pattern_to_write_holds_the_names_that_are_right_already() -> None:
    config = _config(["vision_tower", "layers.0.self_attn.q_proj"])
    [finding] = found(RULE, "Gemma-3-4B", config)
    pattern = finding.hint.rpartition(" ")[2]
    assert pattern == r"(.*\.)?(vision_tower|layers\.0\.self_attn\.q_proj)(\..*)?"
    after = subject(Example("Gemma-3-4B", _config(pattern)))
    assert not any("vision" in path for path in after.adapted_paths)
    assert not any("layers.0.self_attn.q_proj" in path for path in after.adapted_paths)


def test_misspelt_entry_names_nothing() -> None:
    [finding] = found(RULE, "Llama-3.1-8B", _config(["q_porj"]))
    assert "names no module" in finding.message
    assert finding.edits == ()


@pytest.mark.parametrize(
    "exclude",
    [
        ["lm_head"],  # not targeted anyway: nothing is lost
        ["layers.0.self_attn.q_proj"],
        r".*layers\.(0|1)\..*",
        ["mlp"],  # a container without a target inside
        r"(.*\.)?layers\.31(\..*)?",
        "[",  # PEFT refuses it; no matter of this rule
    ],
)
def test_exclusion_that_works_or_is_harmless(exclude: object) -> None:
    assert found(RULE, "Llama-3.1-8B", _config(exclude)) == ()
