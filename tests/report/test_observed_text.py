"""What a forward pass showed, in words, on inventories made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

import builders
from lorascope.core.inventory import Inventory, Module
from lorascope.core.observation import Call, ObservationInfo, Observed
from lorascope.core.roles import Role, Tower
from lorascope.report.inspect_text import inspect_text
from lorascope.report.layout import UNLIMITED
from lorascope.report.observed_text import observation_text, observed_lines

SEEN = builders.observed()
RUN = ObservationInfo(("input_ids",))


def bullets(inventory: Inventory, modules: list[Module] | None = None) -> list[str]:
    shown = list(inventory.listed) if modules is None else modules
    lines = [line.plain.strip() for line in observed_lines(inventory, shown, UNLIMITED)]
    return [line.removeprefix("- ") for line in lines if line.startswith("- ")]


def reading(*modules: tuple[str, Role, int], **more: object) -> Inventory:
    """An inventory of linears: path, role and number of the tensor that each reads."""
    listed = [
        builders.linear(
            path,
            (2, 2),
            role,
            layer=int(path.split(".")[0]) if path[0].isdigit() else None,
            observed=Observed(Call.CALLED, role, input_group=group),
            **more,
        )
        for path, role, group in modules
    ]
    return replace(builders.inventory_of(listed), observation=RUN)


def test_a_model_is_told_in_a_few_sentences() -> None:
    assert bullets(SEEN) == [
        "q, k and v read one tensor (3 times).",
        "Inputs kept for the backward pass even if nothing is adapted, so that an adapter there"
        " keeps no further one: attention.o.",
        "Not reached (1): no input led there, so the pass says nothing of lm_head.",
    ]


def test_what_is_not_shown_is_not_spoken_of() -> None:
    feed_forward = [m for m in SEEN.listed if m.role.group == "ffn"]
    assert bullets(SEEN, feed_forward) == []
    assert "Observed" not in "".join(x.plain for x in inspect_text(SEEN, 80, feed_forward))


def test_without_a_pass_there_is_no_section() -> None:
    assert observed_lines(builders.llama(), list(builders.llama().listed), UNLIMITED) == []


def test_inputs_shared_by_several_groups_of_roles_are_named_in_full() -> None:
    parallel = reading(
        ("0.attn", Role.ATTENTION_QKV, 1), ("0.up", Role.FFN_UP, 1), ("0.down", Role.FFN_DOWN, 2)
    )
    assert bullets(parallel) == ["attention.qkv and ffn.up read one tensor."]


def test_a_tensor_that_all_blocks_read() -> None:
    crossing = reading(
        *(
            (f"{layer}.{name}", role, 1)
            for layer in range(2)
            for name, role in (("k", Role.ATTENTION_K), ("v", Role.ATTENTION_V))
        ),
        cross_attention=True,
    )
    assert bullets(crossing) == ["k (cross) and v (cross) of 2 blocks read one tensor."]


def test_several_modules_of_one_role_and_of_none() -> None:
    same = reading(("0.a", Role.FFN_UP, 1), ("0.b", Role.FFN_UP, 1))
    assert bullets(same) == ["2 × up read one tensor."]
    unknown = reading(("0.a", Role.UNKNOWN, 1), ("0.b", Role.UNKNOWN, 1))
    assert bullets(unknown) == ["a and b read one tensor."]


def test_many_kinds_of_sharing_are_counted() -> None:
    roles = [role for role in Role if role.group == "attention"][:9]
    pairs = [
        (f"{layer}.{name}", each, layer)
        for layer, role in enumerate(roles)
        for name, each in (("a", role), ("b", Role.FFN_UP))
    ]
    assert bullets(reading(*pairs))[-1] == "And 3 more kinds of shared inputs."


def test_towers_are_told_apart() -> None:
    text = reading(("0.q", Role.ATTENTION_Q, 1), ("0.k", Role.ATTENTION_K, 1))
    vision = reading(("1.q", Role.ATTENTION_Q, 2), ("1.k", Role.ATTENTION_K, 2), tower=Tower.VISION)
    both = replace(text, modules=text.modules + vision.modules)
    assert bullets(both) == [
        "text: q and k read one tensor.",
        "vision: q and k read one tensor.",
    ]


def test_inputs_kept_in_some_layers_only_are_counted() -> None:
    downs = [
        builders.linear(
            f"{layer}.down",
            (2, 2),
            Role.FFN_DOWN,
            observed=Observed(Call.CALLED, Role.FFN_DOWN, input_kept=layer == 0),
        )
        for layer in range(3)
    ]
    (told,) = bullets(replace(builders.inventory_of(downs), observation=RUN))
    assert told.endswith(": ffn.down (1 of 3).")


@pytest.mark.parametrize(
    ("observation", "text"),
    [
        (None, "no, roles are by name (--observe runs the model)"),
        (RUN, "one forward pass given input_ids"),
        (
            ObservationInfo(("input_ids", "pixel_values"), attentions=2),
            "one forward pass given input_ids, pixel_values; 2 attentions ran",
        ),
        (
            ObservationInfo(("input_ids",), 1, is_partial=True, reason="it took too long"),
            "one forward pass given input_ids; 1 attention ran; only in part: it took too long",
        ),
        (
            ObservationInfo(("input_ids",), notes=("without audio: ValueError: no", "top_k is 1")),
            "one forward pass given input_ids; without audio: ValueError: no; top_k is 1",
        ),
        (ObservationInfo(reason="its forward fails"), "no: its forward fails"),
    ],
)
def test_the_header_says_what_was_run(observation: ObservationInfo | None, text: str) -> None:
    inventory = replace(builders.llama(), observation=observation)
    assert observation_text(inventory) == text
    assert f"observed    {text}" in [
        line.plain.strip() for line in inspect_text(inventory, UNLIMITED)
    ]


@pytest.mark.parametrize(
    ("observation", "told"),
    [
        (RUN, ["Not reached (1): no input led there, so the pass says nothing of a."]),
        (
            ObservationInfo(("input_ids",), is_partial=True),
            ["Not reached (1): the pass was cut short, so the pass says nothing of a."],
        ),
        (ObservationInfo(reason="its forward fails"), []),
    ],
)
def test_why_a_module_was_not_reached(observation: ObservationInfo, told: list[str]) -> None:
    module = builders.linear("a", (2, 2), observed=Observed(Call.NOT_REACHED))
    assert bullets(replace(builders.inventory_of([module]), observation=observation)) == told


def test_headers_of_a_checkpoint_cannot_be_run() -> None:
    built = replace(builders.BUILT, method="checkpoint")
    assert observation_text(replace(builders.llama(), built_with=built)) == ""


def test_a_hazard_says_whether_it_was_observed() -> None:
    text = "\n".join(line.plain for line in inspect_text(SEEN, UNLIMITED))
    assert "forward_never_called (3, observed): its weight" in text
    named = replace(
        SEEN,
        modules=tuple(
            replace(m, observed=None) if m.path.startswith("model.layers.0.") else m
            for m in SEEN.modules
        ),
    )
    text = "\n".join(line.plain for line in inspect_text(named, UNLIMITED))
    assert "forward_never_called (3, 2 of them observed): its weight" in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_width_is_kept(width: int) -> None:
    lines = observed_lines(SEEN, list(SEEN.listed), width)
    assert max(len(line.plain) for line in lines) <= width


def test_names_from_outside_reach_no_terminal() -> None:
    hostile = reading(("0.a\x1b[2J", Role.UNKNOWN, 1), ("0.b", Role.UNKNOWN, 1))
    assert bullets(hostile) == ["a\\x1b[2J and b read one tensor."]
    reason = replace(SEEN, observation=ObservationInfo(reason="fails\x1b[2J"))
    assert "\x1b" not in "".join(line.plain for line in inspect_text(reason, 80))
