"""Matching takes work that grows as the model and the lists do, and not with their product."""

from __future__ import annotations

from typing import Any

import pytest

import builders
from clock import calls
from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching import match


def linears(inventory: Inventory) -> tuple[str, ...]:
    return tuple(m.path for m in inventory.adaptable if m.kind is Kind.LINEAR and m.layer)


def fields(name: str, inventory: Inventory) -> dict[str, Any]:
    names = linears(inventory)
    return {
        "suffixes": {"target_modules": ("q_proj", "k_proj", "v_proj")},
        "full names": {"target_modules": names},
        "ranks": {"target_modules": names, "rank_pattern": dict.fromkeys(names, 4)},
        "exclusions": {"target_modules": ("q_proj",), "exclude_modules": names[1:]},
        "saved": {"target_modules": ("q_proj",), "modules_to_save": ("lm_head",), "bias": "all"},
    }[name]


@pytest.mark.parametrize("name", ["suffixes", "full names", "ranks", "exclusions", "saved"])
def test_twice_the_layers_are_twice_the_work(name: str) -> None:
    half, whole = (builders.completed(builders.llama(layers)) for layers in (50, 100))
    assert len(linears(whole)) == 7 * 99
    took = [
        calls(lambda each=each: match(each, LoraSpec(**fields(name, each))))
        for each in (half, whole)
    ]
    assert took[1] < 2.5 * took[0]
