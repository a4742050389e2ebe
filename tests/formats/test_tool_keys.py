"""Values in the types that a tool takes, and keys that may be meant by others."""

from __future__ import annotations

from typing import Any

import pytest

from lorascope.core.errors import RecipeError
from lorascope.formats.tool_keys import (
    FLAG,
    INTEGER,
    NAMES_OR_PATTERN,
    NUMBER,
    SCALAR,
    Form,
    Key,
    near_keys,
    read_keys,
    text_of,
    unknown_keys,
)
from lorascope.formats.yaml_document import parse_yaml


@pytest.mark.parametrize(
    ("form", "value", "read"),
    [
        (INTEGER, "16", 16),
        (NUMBER, "1e-1", 0.1),
        (NUMBER, 32, 32),
        (FLAG, "False", False),
        (FLAG, 1, True),
        (SCALAR, "pissa", "pissa"),
        (NAMES_OR_PATTERN, "q_proj", "q_proj"),
        (NAMES_OR_PATTERN, ["q_proj"], ("q_proj",)),
    ],
)
def test_values_that_are_taken(form: Form, value: Any, read: Any) -> None:
    assert form.read(value, False) == read


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (INTEGER, True),
        (INTEGER, 1.5),
        (INTEGER, "9" * 5000),
        (INTEGER, 10**13),
        (NUMBER, "inf"),
        (NUMBER, True),
        (NUMBER, float("nan")),
        (FLAG, "x"),
        (FLAG, [True]),
        (SCALAR, None),
        (NAMES_OR_PATTERN, [1]),
    ],
)
def test_values_that_are_refused(form: Form, value: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        form.read(value, False)


def test_a_null_counts_as_not_there_and_a_later_key_takes_the_place_over() -> None:
    node = parse_yaml("a: [x, y]\nb: .*z\nc: null\n", "f.yaml")
    keys = [Key(name, NAMES_OR_PATTERN, "target_modules") for name in "abc"]
    reading = read_keys(node, keys, "f.yaml")
    assert reading.stated == {"target_modules": ".*z"}
    assert reading.key_of == {"target_modules": "b"}
    assert ("target_modules", "x") not in reading.spots


def test_the_section_is_named_in_messages() -> None:
    node = parse_yaml("\nrank: [8]\n", "f.yaml")
    with pytest.raises(RecipeError) as raised:
        read_keys(node, [Key("rank", INTEGER, "r")], "f.yaml", section="lora.")
    assert raised.value.what == "f.yaml, line 2: lora.rank is [8]; expected an integer."


def test_unknown_keys_are_those_near_or_all_of_a_closed_mapping() -> None:
    node = parse_yaml("rankk: 1\nseed: 2\nalpha: 3\nrank: 4\n", "f.yaml")
    assert unknown_keys(node, ["rank", "scale"], meant={"alpha": "scale"}) == {
        "rankk": ("rank",),
        "alpha": ("scale",),
    }
    assert unknown_keys(node, ["rank"], ["seed"], is_closed=True).keys() == {"rankk", "alpha"}


def test_a_long_key_is_compared_with_none() -> None:
    assert near_keys("lora_" * 100, ["lora_r"]) == ()


def test_only_text_names_a_model() -> None:
    node = parse_yaml("a: 1\nb: ''\nc: m\n", "f.yaml")
    assert text_of(node, "a", "c") == "m"
    assert text_of(node, "b") is None
