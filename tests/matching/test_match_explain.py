"""What entries name where PEFT refuses, and the nearest names of those that name nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import builders
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Role
from lorascope.core.spec import LoraSpec
from lorascope.matching import EntryMatch, Match, Where, explain, match

LLAMA = builders.llama()


def fused() -> Inventory:
    """A model whose projections are fused as Phi-3's."""
    block = "model.layers.0"
    return builders.inventory_of(
        [
            builders.container(""),
            builders.linear(f"{block}.self_attn.o_proj", (12, 12), Role.ATTENTION_O),
            builders.linear(f"{block}.self_attn.qkv_proj", (12, 36), Role.ATTENTION_QKV),
            builders.linear(f"{block}.mlp.gate_up_proj", (12, 48), Role.FFN_GATE_UP),
            builders.linear(f"{block}.mlp.o_proj", (24, 12), Role.FFN_DOWN),
        ]
    )


def explained(inventory: Inventory, **fields: Any) -> Match:
    """What `explain` says where `match` raises, with the same words."""
    spec = LoraSpec(**fields)
    with pytest.raises(SpecificationError) as raised:
        match(inventory, spec)
    found = explain(inventory, spec)
    assert found.refused == str(raised.value)
    assert found.targets == ()
    assert found.trainable_params == 0
    return found


def only(found: Match, where: Where = Where.TARGET_MODULES) -> EntryMatch:
    (entry,) = found.entries_of(where)
    return entry


def test_what_peft_takes_is_explained_as_it_is_matched() -> None:
    spec = LoraSpec(target_modules=("q_proj", "vproj"))
    assert explain(LLAMA, spec) == match(LLAMA, spec)


def test_entries_that_name_nothing_get_the_fused_names() -> None:
    found = explained(fused(), target_modules=("q_proj", "v_proj", "up_proj"))
    assert [(each.matched, each.nearest) for each in found.entries] == [
        (0, ("qkv_proj",)),
        (0, ("qkv_proj",)),
        (0, ("gate_up_proj",)),
    ]


def test_a_last_part_of_several_roles_is_told_with_its_holder() -> None:
    assert only(explained(fused(), target_modules=("w2",))).nearest == ("mlp.o_proj",)


def test_a_real_last_part_below_the_wrong_holder() -> None:
    found = explained(LLAMA, target_modules=("attention.q_proj",))
    assert only(found).nearest == ("self_attn.q_proj",)


def test_a_misspelt_name_gets_what_is_like_it_also_where_others_hit() -> None:
    first, second = explain(LLAMA, LoraSpec(target_modules=("k_proj", "donw_proj"))).entries
    assert (first.matched, first.nearest) == (3, ())
    assert second.nearest[0] == "down_proj"
    assert len(second.nearest) <= 3


def test_other_fields_get_nearest_names_too() -> None:
    spec = LoraSpec(
        target_modules=("q_proj",),
        exclude_modules=("lmhead",),
        rank_pattern={"upproj": 4, r".*\.v_proj": 4},
    )
    found = explain(LLAMA, spec)
    nearest = {(each.where, each.entry): each.nearest[:1] for each in found.entries}
    assert nearest[Where.EXCLUDE_MODULES, "lmhead"] == ("lm_head",)
    assert nearest[Where.RANK_PATTERN, "upproj"] == ("up_proj",)
    assert nearest[Where.RANK_PATTERN, r".*\.v_proj"] == (), "a pattern is like no name"


def test_a_real_name_that_is_excluded_needs_no_other() -> None:
    found = explained(LLAMA, target_modules=("q_proj",), exclude_modules=("q_proj",))
    assert only(found).nearest == ()
    assert "all are excluded" in only(found).reason


def test_experts_are_named_with_the_field_that_reaches_them() -> None:
    holder = "model.layers.0.mlp.experts"
    parameter, stacked = builders.expert_parameter(
        holder, "gate_up_proj", 4, (8, 16), Role.MOE_EXPERTS_GATE_UP, layer=0
    )
    block = replace(builders.container(holder), parameters=(parameter,))
    model = builders.inventory_of([builders.container(""), block, stacked])
    entry = only(explained(model, target_modules=("gate_proj",)))
    assert entry.nearest == ("experts.gate_up_proj",)
    assert "experts.gate_up_proj is a parameter, for target_parameters." in entry.reason
    entry = only(explained(model, target_modules=("gate_up_proj",)))
    assert entry.nearest == ()
    assert "gate_up_proj is a parameter, for target_parameters." in entry.reason


def test_refused_after_selection_entries_still_say_what_they_name() -> None:
    found = explained(
        builders.mixture(),
        target_modules=("q_proj",),
        target_parameters=("experts.down_proj",),
        modules_to_save=("lm_head",),
        rank_pattern={"q_proj": 4},
        use_dora=True,
    )
    assert found.refused is not None
    assert "use_dora" in found.refused
    matched = {each.where: each.matched for each in found.entries}
    assert matched[Where.TARGET_MODULES] == matched[Where.RANK_PATTERN] > 0
    assert matched[Where.TARGET_PARAMETERS] > 0
    assert matched[Where.MODULES_TO_SAVE] == 1


def test_what_is_not_modelled_is_raised() -> None:
    with pytest.raises(UnmodelledError):
        explain(LLAMA, LoraSpec(target_modules=("q_proj",), init_lora_weights="corda"))


def test_many_and_long_entries_take_no_time() -> None:
    entries = (*(f"proj_{i}" for i in range(3000)), "x" * 100_000)
    found = explained(LLAMA, target_modules=entries)
    assert sum(bool(each.nearest) for each in found.entries) <= 200
    assert found.entries[-1].nearest == ()
