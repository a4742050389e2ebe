"""PEFT carries the presets out on published models of real size, on the meta device.

A few of them here; all of them with `HYPOTHESIS_PROFILE=sweep` (`make sweep`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache

import pytest
from peft_judge import inject, planned_scales

from lorascope.build import build_model, inventory_of
from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.planning import PRESETS, PlanRequest, make_plan
from lorascope.roles import assign
from lorascope.source import resolve
from lorascope.source.examples import list_examples

SWEEP = os.environ.get("HYPOTHESIS_PROFILE") == "sweep"
FEW = ("SmolLM2-135M", "Phi-3-mini", "Gemma-3-4B", "Whisper-small")
CHOSEN = [
    (name, preset)
    for name in (tuple(e.name for e in list_examples()) if SWEEP else FEW)
    for preset in (PRESETS if SWEEP else ("qv", "extended"))
]
ONLY_EXPERTS = ("Mixtral-8x7B", "Qwen3-30B-A3B", "gpt-oss-20b")
IMPOSSIBLE = {
    *(("Mamba-2.8B", preset) for preset in PRESETS if preset != "all-linear"),
    *((name, "ffn") for name in ONLY_EXPERTS),
}


@cache
def _inventory(name: str) -> Inventory:
    known = assign(inventory_of(build_model(resolve(name, offline=True)), reference=name))
    return replace(known, model=replace(known.model, base_model=None))


@pytest.mark.parametrize(("name", "preset"), CHOSEN)
def test_every_example_takes_the_preset(name: str, preset: str) -> None:
    known = _inventory(name)
    if (name, preset) in IMPOSSIBLE:
        with pytest.raises(PlanError, match="has no "):
            make_plan(known, PlanRequest(preset=preset))
        return
    plan = make_plan(known, PlanRequest(preset=preset))
    injected = inject(build_model(resolve(name, offline=True)), plan)
    assert injected.scales == planned_scales(plan, known)
    assert injected.trainable == plan.trainable_params


def test_the_recipe_has_the_parameters_that_were_measured() -> None:
    known = _inventory("SmolLM2-135M")
    recipe = make_plan(known, PlanRequest(preset="extended"))
    halved = make_plan(known, PlanRequest(preset="all-linear", rank=4))
    assert recipe.trainable_params == halved.trainable_params == 1_221_120
