"""What a request takes, and what it says about values that it does not take."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any

import pytest

from lorascope.core.errors import PlanError
from lorascope.core.roles import Tower
from lorascope.planning import PlanRequest, request_from


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"preset": "qkv"}, "--preset is 'qkv'; expected one of qv, attention"),
        ({"task": "poetry"}, "--task is 'poetry'; expected one of classification"),
        ({"rank": 0}, "--rank is 0; expected a whole number from 1"),
        ({"rank": 2.5}, "--rank is 2.5; expected a whole number"),
        ({"rank": True}, "--rank is True; expected a whole number"),
        ({"rank": 10**9}, "--rank is 1000000000; expected a whole number from 1 to 1,000,000"),
        ({"alpha": 0}, "--alpha is 0; expected a number above 0"),
        ({"alpha": float("nan")}, "--alpha is nan; expected a number above 0"),
        ({"alpha": float("inf")}, "--alpha is inf; expected a number above 0"),
        ({"dropout": 1}, "--dropout is 1; expected a number from 0 to below 1"),
        ({"dropout": -0.1}, "--dropout is -0.1; expected a number from 0"),
        ({"bias": "some"}, "--bias is 'some'; expected one of none, all, lora_only"),
        ({"init": "loftq"}, "--init is 'loftq'; expected true, false, gaussian"),
        ({"init": "pissa_niter_x"}, "--init is 'pissa_niter_x'; expected"),
        ({"roles": 3}, "--roles is 3; expected a list of names"),
        ({"roles": "q,,v"}, "--roles holds ''; expected names"),
        ({"roles": "q=8;v=8"}, "--roles holds 'q=8;v=8'; expected a rank above 0"),
        ({"roles": {"q": 0}}, "--roles holds 'q=0'; expected a rank above 0"),
        ({"roles": {"q": 1.5}}, "--roles holds 'q=1.5'; expected a rank above 0"),
        ({"roles": {3: None}}, "--roles holds 3; expected names"),
        ({"roles": ("",)}, "--roles holds ''; expected names"),
        ({"roles": ("query",)}, "--roles holds 'query'; expected one of q, k, v, o"),
        ({"roles": ("router",)}, "'router'; expected one of moe.router, moe.shared.router"),
        ({"roles": ("in_proj",)}, "--roles holds 'in_proj'; expected one of q, k, v, o"),
        ({"roles": ("attention.qq",)}, "Nearest: attention.q"),
        ({"roles": ("q=0",)}, "--roles holds 'q=0'; expected a rank above 0"),
        ({"roles": ("q=x",)}, "--roles holds 'q=x'; expected a rank above 0"),
        ({"roles": ("q=",)}, "--roles holds 'q='; expected a rank above 0"),
        ({"roles": ("q=99999999999999999",)}, "expected a rank above 0"),
        ({"roles": ("q",), "preset": "qv"}, "--roles and --preset qv are both given"),
        ({"rank": 4, "max_params": 9}, "--max-params and --rank are both given"),
        ({"max_params": 0}, "--max-params is 0; expected a whole number from 1"),
        ({"layers": "3-1"}, "--layers is '3-1'; expected indices and ranges"),
        ({"layers": "a"}, "--layers is 'a'; expected indices and ranges"),
        ({"layers": ""}, "--layers is ''; expected indices and ranges"),
        ({"layers": "0-999999"}, "--layers is '0-999999'; expected indices and ranges"),
        ({"layers": ()}, "--layers is empty"),
        ({"layers": (-1,)}, "--layers is -1; expected a whole number from 0"),
        ({"exclude": (3,)}, "--exclude holds 3; expected names"),
        ({"towers": ("roof",)}, "--tower is 'roof'; expected one of text, vision"),
        ({"towers": "vision"}, "--tower is 'vision'; expected a list of towers"),
        ({"peft_version": "0.4"}, "peft_version: PEFT 0.4 selects modules in its own way"),
        ({"init": "orthogonal", "rank": 3}, "--rank is 3; expected an even one"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(options: dict[str, Any], told: str) -> None:
    with pytest.raises(PlanError) as caught:
        PlanRequest(**options)
    assert told in str(caught.value)


def test_layers_are_indices_and_ranges() -> None:
    assert PlanRequest(layers="0-2,5").parsed_layers == {0, 1, 2, 5}
    assert PlanRequest(layers=" 7 , 1 - 2").parsed_layers == {1, 2, 7}
    assert PlanRequest(layers=(4, 4, 1)).parsed_layers == {1, 4}


def test_the_preset_is_the_asked_one_the_tasks_one_or_qv() -> None:
    assert PlanRequest().preset_name == "qv"
    assert PlanRequest(task="math").preset_name == "all-linear"
    assert PlanRequest(task="math", preset="ffn").preset_name == "ffn"
    assert PlanRequest(roles=("q=4",)).preset_name == "roles"


def test_towers_are_taken_as_words_or_values() -> None:
    assert PlanRequest(towers=("vision", Tower.TEXT)).parsed_towers == (Tower.VISION, Tower.TEXT)


@pytest.mark.parametrize("init", [True, False, "gaussian", "olora", "pissa", "pissa_niter_4"])
def test_initializations_that_need_nothing_else_are_taken(init: bool | str) -> None:
    assert PlanRequest(init=init).init == init


@pytest.mark.parametrize(
    "roles",
    [
        ("q=16", "down"),
        ["q=16", "down"],
        "q=16,down",
        " q = 16 , down",
        {"q": 16, "down": None},
    ],
)
def test_roles_are_taken_as_a_list_a_text_or_a_mapping(roles: Any) -> None:
    request = request_from(roles=roles)
    assert [(role.entry, role.rank) for role in request.parsed_roles] == [("q", 16), ("down", None)]
    assert request.preset_name == "roles"


@pytest.mark.parametrize("roles", [(), [], "", {}])
def test_no_roles_are_no_roles(roles: Any) -> None:
    assert request_from(roles=roles) == PlanRequest(roles=roles)
    assert request_from(roles=roles).preset_name == "qv"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("tower", "towers"), ("lora_alpha", "alpha"), ("lora_dropout", "dropout"), ("r", "rank")],
)
def test_an_unknown_option_is_told_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(PlanError) as caught:
        request_from(rank=8, **{name: 1})
    assert f"A plan has no option {name}; expected one of preset, task, rank" in caught.value.what
    assert caught.value.hint == f"Nearest: {nearest}."


def test_every_option_is_documented() -> None:
    documented = set(re.findall(r"^ {8}(\w+): ", inspect.getdoc(request_from) or "", re.M))
    assert documented == {field.name for field in fields(PlanRequest)}
