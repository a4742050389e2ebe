"""The published parameter counts of `lora_params_per_rank.tsv`, reproduced."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lorascope.build import build
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import EXPERTS, Role
from lorascope.planning import PlanRequest, make_plan
from lorascope.roles import assign
from lorascope.source import resolve

TABLE = Path(__file__).parents[1] / "data" / "lora_params_per_rank.tsv"


def _rows() -> Iterator[dict[str, str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")


ROWS = list(_rows())


@cache
def _inventory(name: str) -> Inventory:
    return assign(build(resolve(name, offline=True)))


def _published(module: Module) -> int:
    """The publisher's own formula: the experts of a parameter share the factor on the outside.

    A parameter from the hidden size h to the experts' size i counts h + E·i for each of the
    matrices fused in it, so that a layer of gate, up and down counts 3·(h + E·i).
    """
    if module.role not in EXPERTS:
        return module.lora_params_per_rank
    inputs, outputs, experts = module.in_features, module.out_features, module.experts
    assert inputs is not None
    assert outputs is not None
    assert experts is not None
    if module.role is Role.MOE_EXPERTS_GATE_UP:
        return 2 * (inputs + experts * outputs // 2)
    assert module.role is Role.MOE_EXPERTS_DOWN
    return outputs + experts * inputs


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_the_published_counts_are_those_of_the_inventory(row: dict[str, str]) -> None:
    groups = {"attention": 0, "ffn": 0, "head": 0}
    for module in _inventory(row["model"]).adaptable:
        group = "ffn" if module.role in EXPERTS else module.role.group
        groups[group] = groups.get(group, 0) + _published(module)
    assert groups["attention"] == int(row["attn"])
    assert groups["ffn"] == int(row["mlp"])
    assert groups["head"] == int(row["unembed"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_a_plan_at_rank_1_has_the_published_count(row: dict[str, str]) -> None:
    known = _inventory(row["model"])
    attention = make_plan(known, PlanRequest(preset="attention", rank=1))
    assert attention.trainable_params == int(row["attn"])
    head = make_plan(known, PlanRequest(roles=("head.lm=1",)))
    assert head.trainable_params == int(row["unembed"])
    ffn = make_plan(known, PlanRequest(preset="ffn", rank=1, experts=True))
    if known.model.num_experts is None:
        assert ffn.trainable_params == int(row["mlp"])
        return
    # PEFT gives every expert both factors: E·(in + out) a parameter.
    experts = [m for m in known.adaptable if m.role in EXPERTS]
    assert ffn.trainable_params == sum(
        (m.experts or 0) * ((m.in_features or 0) + (m.out_features or 0)) for m in experts
    )
    assert ffn.trainable_params > int(row["mlp"])


def test_the_table_has_the_rows_it_was_published_with() -> None:
    assert [row["model"] for row in ROWS] == [
        "Llama-3.1-8B",
        "Llama-3.1-70B",
        "Qwen3-8B",
        "Qwen3-30B-A3B",
        "gpt-oss-20b",
    ]
