"""What a forward pass showed, merged with what names say. No model is run here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import inventory_of, linear, llama, mixture
from lorascope.core.inventory import Inventory, Module
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Evidence, Kind, Role
from lorascope.roles import assign
from lorascope.roles.agreement import MOST_NOTES
from lorascope.roles.tables import shipped_rules

Q = "model.layers.0.self_attn.q_proj"
ODD = "model.layers.0.zig.zag"


def seen(role: Role | None = None, call: Call = Call.CALLED, **more: bool | None) -> Observed:
    return Observed(call, role, **more)  # type: ignore[arg-type]


def observed(inventory: Inventory, **modules: Observed) -> Inventory:
    """The inventory after a pass that showed these modules; `__` in a key stands for a dot."""
    return assign(
        inventory,
        Observation({path.replace("__", "."): each for path, each in modules.items()}),
    )


def one(path: str, what: Observed | None, **more: object) -> Module:
    inventory = inventory_of([replace(linear(path, (8, 8)), **more)])  # type: ignore[arg-type]
    observation = Observation({} if what is None else {path: what})
    return assign(inventory, observation).by_path[path]


@pytest.mark.parametrize(
    ("path", "flow", "role", "evidence"),
    [
        (Q, Role.ATTENTION_Q, Role.ATTENTION_Q, Evidence.OBSERVED),
        (Q, Role.ATTENTION_K, Role.ATTENTION_Q, Evidence.NAMED),
        (Q, None, Role.ATTENTION_Q, Evidence.NAMED),
        (ODD, Role.FFN_DOWN, Role.FFN_DOWN, Evidence.OBSERVED),
        (ODD, None, Role.UNKNOWN, Evidence.UNKNOWN),
    ],
)
def test_a_role_and_its_evidence(
    path: str, flow: Role | None, role: Role, evidence: Evidence
) -> None:
    module = one(path, seen(flow))
    assert (module.role, module.evidence) == (role, evidence)
    assert module.observed == seen(flow)
    assert (module.rule is None) == (path == ODD)


def test_what_was_not_seen_is_as_without_a_pass() -> None:
    unseen = assign(llama(2), Observation())
    assert unseen.modules == assign(llama(2)).modules
    assert unseen.observation is not None
    assert assign(llama(2)).observation is None


def test_the_pass_itself_is_kept() -> None:
    cut = Observation(inputs=("input_ids",), attentions=2, is_partial=True, reason="took too long")
    assert assign(llama(2), cut).observation == cut.info
    assert (cut.info.inputs, cut.info.attentions) == (("input_ids",), 2)
    assert (cut.info.is_partial, cut.info.reason) == (True, "took too long")


def test_a_disagreement_is_told_once_for_all_layers() -> None:
    paths = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(3)]
    inventory = assign(llama(3), Observation({p: seen(Role.ATTENTION_K) for p in paths}))
    assert inventory.model.notes == (
        "By name 3 modules (the first is model.layers.0.self_attn.q_proj) are attention.q, by data"
        " flow attention.k; the name is kept.",
    )
    assert assign(inventory, Observation({p: seen(Role.ATTENTION_K) for p in paths})) == inventory


def test_agreement_is_told_by_no_note() -> None:
    inventory = observed(llama(1), **{Q.replace(".", "__"): seen(Role.ATTENTION_Q)})
    assert inventory.model.notes == ()


def test_many_kinds_of_disagreement_are_counted() -> None:
    flows = [role for role in Role if role.group == "attention" and role is not Role.ATTENTION_Q]
    paths = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(len(flows))]
    inventory = inventory_of([linear(path, (8, 8)) for path in paths])
    observation = Observation({path: seen(flow) for path, flow in zip(paths, flows, strict=True)})
    notes = assign(inventory, observation).model.notes
    assert len(notes) == MOST_NOTES + 1
    more = len(flows) - MOST_NOTES
    assert notes[-1] == f"And {more} more kinds of disagreement between names and data flow."


def test_names_that_are_finer_than_data_flow_are_no_disagreement() -> None:
    path = "model.layers.0.mlp.shared_experts.gate_proj"
    inventory = inventory_of([linear(path, (8, 8))], model_type="deepseek_v3")
    found = assign(inventory, Observation({path: seen(Role.FFN_GATE)}))
    assert found.by_path[path].role is Role.MOE_SHARED_GATE
    assert found.by_path[path].evidence is Evidence.OBSERVED
    assert found.model.notes == ()


def test_a_projector_that_works_as_a_feed_forward_is_no_disagreement() -> None:
    path = "model.multi_modal_projector.linear_1"
    found = assign(
        inventory_of([linear(path, (8, 8))], model_type="llava"),
        Observation({path: seen(Role.FFN_UP)}),
    )
    assert (found.by_path[path].role, found.model.notes) == (Role.PROJECTOR, ())
    assert found.by_path[path].evidence is Evidence.NAMED


def test_observed_roles_make_blocks_where_names_say_nothing() -> None:
    paths = [f"trunk.{layer}.zig.zag" for layer in range(2)]
    inventory = inventory_of([linear(path, (8, 8)) for path in paths])
    assert [m.layer for m in assign(inventory).modules] == [None, None]
    found = assign(inventory, Observation({p: seen(Role.FFN_DOWN) for p in paths}))
    assert [m.layer for m in found.modules] == [0, 1]


def test_a_router_that_only_the_pass_shows_has_its_hazard() -> None:
    assert one("model.layers.0.zig.zag", seen(Role.MOE_ROUTER)).hazards == ("router",)


@pytest.mark.parametrize("call", list(Call))
def test_what_is_read_directly_is_dead_and_what_was_not_reached_is_not(call: Call) -> None:
    dead = {
        Call.READ_DIRECTLY: ("forward_never_called",),
        Call.READ_ON_SOME_WAYS: ("forward_bypassed_by_kernel",),
    }
    assert one(ODD, seen(call=call)).hazards == dead.get(call, ())


def test_an_expert_parameter_is_read_directly_by_its_nature() -> None:
    inventory = mixture(2)
    paths = [m.path for m in inventory.modules if m.kind is Kind.EXPERT_PARAMETER]
    found = assign(inventory, Observation({p: seen(call=Call.READ_DIRECTLY) for p in paths}))
    assert {found.by_path[path].hazards for path in paths} == {()}


@pytest.mark.parametrize(("affine", "hazards"), [(None, ()), (True, ()), (False, ("not_affine",))])
def test_what_is_not_affine_is_marked(affine: bool | None, hazards: tuple[str, ...]) -> None:
    assert one(ODD, seen(affine=affine)).hazards == hazards


MAMBA = "backbone.layers.0.mixer.dt_proj"


def mamba(what: Observed) -> Inventory:
    mixer = Module("backbone.layers.0.mixer", "MambaMixer", Kind.CONTAINER)
    return assign(
        inventory_of([mixer, linear(MAMBA, (8, 8))], model_type="mamba"),
        Observation({MAMBA: what}),
    )


def test_a_stated_hazard_holds_where_the_pass_decides_nothing_or_the_same() -> None:
    for call in (Call.READ_DIRECTLY, Call.NOT_REACHED):
        found = mamba(seen(call=call))
        assert "forward_never_called" in found.by_path[MAMBA].hazards
        assert found.model.notes == ()


def test_a_stated_hazard_that_the_pass_refutes_is_lifted_and_that_is_told() -> None:
    found = mamba(seen(call=Call.CALLED))
    assert "forward_never_called" not in found.by_path[MAMBA].hazards
    assert found.model.notes == (
        "The hazard forward_never_called, which a name rule states, is lifted where the forward"
        f" pass shows otherwise: 1 × such as {MAMBA}.",
    )


OUT = "blocks.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("own", "partial", "flow", "role"),
    [
        ({"is_transformers_class": False}, False, Role.ATTENTION_O, Role.ATTENTION_O),
        ({"is_pretrained_model": False}, False, Role.ATTENTION_O, Role.ATTENTION_O),
        ({"is_remote_code": True}, False, Role.FFN_DOWN, Role.FFN_DOWN),
        ({"is_remote_code": True}, False, Role.PROJECTOR, Role.ATTENTION_Q),
        ({"is_remote_code": True}, True, Role.ATTENTION_O, Role.ATTENTION_Q),
        ({}, False, Role.ATTENTION_O, Role.ATTENTION_Q),
    ],
)
def test_in_a_class_of_ones_own_the_pass_overrules_a_generic_name(
    own: dict[str, bool], partial: bool, flow: Role, role: Role
) -> None:
    inventory = inventory_of([linear(OUT, (8, 8))], **own)
    found = assign(inventory, Observation({OUT: seen(flow)}, is_partial=partial))
    module = found.by_path[OUT]
    is_overruled = role is flow
    assert (module.role, module.named_role) == (role, Role.ATTENTION_Q if is_overruled else None)
    assert module.evidence is (Evidence.OBSERVED if is_overruled else Evidence.NAMED)
    (note,) = found.model.notes
    assert ("data flow is believed" in note) is is_overruled


def test_a_familys_row_stays_even_in_a_class_of_ones_own() -> None:
    rule = next(
        rule
        for rule in shipped_rules()
        if rule.family
        and rule.role is Role.ATTENTION_Q
        and not (rule.parents or rule.classes or set("*?[#") & set(rule.pattern))
    )
    model_type = next(iter(rule.model_types), "").replace("*", "")
    path = f"layers.0.{rule.pattern}"
    inventory = inventory_of([linear(path, (8, 8))], model_type=model_type, is_remote_code=True)
    module = assign(inventory, Observation({path: seen(Role.ATTENTION_O)})).by_path[path]
    assert (module.rule, module.role) == (rule.name, Role.ATTENTION_Q)
