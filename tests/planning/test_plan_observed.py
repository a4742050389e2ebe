"""Plans keep away from what a forward pass showed to be dead or not affine. No model is run."""

from __future__ import annotations

from dataclasses import replace

import pytest

import builders
from lorascope.core.errors import PlanError
from lorascope.core.inventory import HAZARDS, Inventory
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.plan import Plan
from lorascope.core.roles import Role
from lorascope.planning import PRESETS, make_plan, request_from
from lorascope.roles import assign

GATE = [f"model.layers.{layer}.mlp.gate_proj" for layer in range(3)]


def seen(what: Observed) -> Inventory:
    """The small Llama, of whose gates a forward pass showed this."""
    return assign(builders.llama(), Observation(dict.fromkeys(GATE, what)))


DEAD = seen(Observed(Call.READ_DIRECTLY))
BYPASSED = seen(Observed(Call.READ_ON_SOME_WAYS))
ODD = seen(Observed(Call.CALLED, Role.FFN_GATE, affine=False))
MISSED = seen(Observed(Call.NOT_REACHED))
HAZARDOUS = [
    (DEAD, "forward_never_called"),
    (BYPASSED, "forward_bypassed_by_kernel"),
    (ODD, "not_affine"),
]


def advice(plan: Plan) -> str:
    return " ".join(each.text for each in plan.advice)


def targets(plan: Plan) -> set[str]:
    return {target.path for target in plan.targets}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("inventory", [DEAD, BYPASSED, ODD], ids=["dead", "bypassed", "not affine"])
def test_no_preset_chooses_what_was_observed_not_to_learn(
    inventory: Inventory, preset: str
) -> None:
    assert not targets(make_plan(inventory, request_from(preset=preset))) & set(GATE)


@pytest.mark.parametrize(("inventory", "hazard"), HAZARDOUS)
def test_what_is_left_out_is_told_with_its_reason(inventory: Inventory, hazard: str) -> None:
    plan = make_plan(inventory, request_from(preset="ffn"))
    assert f"Left out: gate_proj (3), {HAZARDS[hazard]} (observed)." in advice(plan)
    assert "Left out" not in advice(make_plan(inventory, request_from(preset="qv")))


@pytest.mark.parametrize(("inventory", "hazard"), HAZARDOUS)
@pytest.mark.parametrize("roles", ["gate", "ffn.gate", "q,gate"])
def test_roles_that_name_nothing_else_are_refused_with_the_reason(
    inventory: Inventory, hazard: str, roles: str
) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(inventory, request_from(roles=roles.split(",")))
    assert f"that LoRA can train (3 Linear (gate_proj): {HAZARDS[hazard]} (observed))" in (
        caught.value.what
    )


def test_a_hazard_that_only_a_rule_states_is_not_called_observed() -> None:
    named = replace(
        DEAD, modules=tuple(replace(m, observed=None) for m in DEAD.modules), observation=None
    )
    said = advice(make_plan(named, request_from(preset="ffn")))
    assert f"Left out: gate_proj (3), {HAZARDS['forward_never_called']}." in said


def test_what_was_not_reached_is_chosen_and_that_is_told() -> None:
    plan = make_plan(MISSED, request_from(preset="ffn"))
    assert set(GATE) <= targets(plan)
    assert (
        "The forward pass that observed the model did not reach gate_proj (3 of the targets): LoRA"
        " there learns only if your inputs lead there."
    ) in advice(plan)
    assert "did not reach" not in advice(make_plan(MISSED, request_from(preset="qv")))
    assert "did not reach" not in advice(make_plan(builders.llama(), request_from(preset="ffn")))
