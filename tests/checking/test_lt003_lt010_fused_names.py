"""LT003 and LT010: names of another family on a model that fuses or renames projections."""

from __future__ import annotations

from dataclasses import replace

import pytest
from check_models import codes, inventory, subject
from one_rule import found

from builders import container, inventory_of, linear
from lorascope.checking import Example, findings_of, subject_of
from lorascope.checking.rules.lt003_other_name_in_other_layers import RULE as LT003
from lorascope.checking.rules.lt010_fused_projection import RULE as LT010
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.roles import Role

_LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def test_llamas_names_on_phi3_adapt_two_of_seven() -> None:
    config = {"target_modules": _LLAMA}
    fused = found(LT010, "Phi-3-mini", config)
    assert {finding.severity for finding in fused} == {"error"}
    told = {finding.entry: finding.message for finding in fused}
    assert told.keys() == {"q_proj", "gate_proj"}
    assert "because other entries match: 23.7% of the weights stay frozen" in told["q_proj"]
    assert "42.2% of the weights stay frozen" in told["gate_proj"]


def test_fused_names_are_told_once() -> None:
    assert codes("Phi-3-mini", {"target_modules": _LLAMA}) == ["LT010", "LT010"]
    assert codes("Phi-3-mini", {"target_modules": ["q_proj", "v_proj", "o_proj"]}) == ["LT010"]
    [alone] = found(LT010, "Phi-3-mini", {"target_modules": ["q_proj", "v_proj"]})
    assert alone.message.endswith("None of its 32 is adapted.")


def test_fused_names_replace_all_parts_at_once() -> None:
    fused = found(LT010, "Phi-3-mini", {"target_modules": _LLAMA})
    changes = {edit.entry: edit.value for finding in fused for edit in finding.edits}
    assert changes == {
        "q_proj": ("qkv_proj",),
        "k_proj": (),
        "v_proj": (),
        "gate_proj": ("gate_up_proj",),
        "up_proj": (),
    }
    after = [name for entry in _LLAMA for name in changes.get(entry, (entry,))]
    assert after == ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]
    assert found(LT003, "Phi-3-mini", {"target_modules": after}) == ()


def test_a_part_alone_is_not_edited_into_the_whole() -> None:
    [finding] = found(LT010, "Phi-3-mini", {"target_modules": ["q_proj", "v_proj"]})
    assert "queries, keys and values in one projection, 'qkv_proj'" in finding.message
    assert "as a whole" in finding.hint
    assert finding.edits == ()


@pytest.mark.parametrize(
    ("model", "fused"),
    [("GPT-2", "c_attn"), ("Falcon-7B", "query_key_value"), ("Bloom-560M", "query_key_value")],
)
def test_fused_name_is_that_of_the_model(model: str, fused: str) -> None:
    [finding] = found(LT010, model, {"target_modules": ["q_proj", "k_proj", "v_proj"]})
    assert fused in finding.hint
    assert finding.edits[0].value == (fused,)


def test_list_for_many_families_is_no_error_where_the_fused_name_is_in_it() -> None:
    config = {"target_modules": [*_LLAMA, "qkv_proj", "gate_up_proj"]}
    assert {finding.severity for finding in found(LT010, "Phi-3-mini", config)} == {"info"}
    assert found(LT003, "Phi-3-mini", config) == ()


@pytest.mark.parametrize(
    "model", ["Llama-3.1-8B", "Qwen2.5-VL-7B", "Mixtral-8x7B", "StarCoder2-3B"]
)
def test_models_with_separate_projections_are_silent(model: str) -> None:
    config = {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}
    assert found(LT010, model, config) == ()
    assert found(LT003, model, config) == ()


def test_torchtune_has_its_own_names() -> None:
    recipe = """
model:
  _component_: torchtune.models.phi3.lora_phi3_mini
  lora_attn_modules: [q_proj, v_proj, output_proj]
  lora_rank: 8
  lora_alpha: 16
"""
    assert found(LT010, "Phi-3-mini", recipe, tool=Tool.TORCHTUNE) == ()
    assert found(LT003, "Phi-3-mini", recipe, tool=Tool.TORCHTUNE) == ()


def _renamed() -> Inventory:
    """A model whose first layers call the output projection `dense`, the others `o_proj`."""
    modules = [container("")]
    for layer, name in enumerate(("dense", "dense", "o_proj", "o_proj", "o_proj")):
        path = f"model.layers.{layer}.self_attn.{name}"
        modules.append(replace(linear(path, (8, 8), Role.ATTENTION_O), layer=layer))
    return inventory_of(modules)


def test_same_role_under_another_name_in_other_layers() -> None:
    config = {"target_modules": ["o_proj"]}
    checked = subject_of(Recipe(Tool.PEFT, "test", config), _renamed())
    [finding] = findings_of(checked, (LT003,))
    assert "attention.o in 3 of 5 layers" in finding.message
    assert "Add 'dense'" in finding.hint
    assert finding.paths[0] == "model.layers.0.self_attn.dense"


@pytest.mark.parametrize(
    "config",
    [
        {"target_modules": ["o_proj", "dense"]},
        {"target_modules": ["o_proj"], "layers_to_transform": [2, 3]},
    ],
)
def test_layers_left_out_on_purpose_are_no_finding(config: dict[str, object]) -> None:
    checked = subject_of(Recipe(Tool.PEFT, "test", config), _renamed())
    assert findings_of(checked, (LT003,)) == ()


def test_pattern_for_some_layers_is_no_finding() -> None:
    config = {"target_modules": r".*\.(3|7|11)\.self_attn\.(q|v)_proj"}
    assert inventory("Llama-3.1-8B").model.num_hidden_layers == 32
    assert subject(Example("Llama-3.1-8B", config)).targets
    assert found(LT003, "Llama-3.1-8B", config) == ()
