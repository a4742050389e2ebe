"""A recipe's fields read by a tool's keys, and where each stands."""

from __future__ import annotations

from typing import Any

import pytest

from lorascope.core.errors import RecipeError
from lorascope.formats.forms import BY_NAME, FLAG, NAMES_OR_TEXT, WHOLE
from lorascope.formats.keys import Key, names_of, read_keys, text_of
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.yaml_document import parse_yaml

TARGETS = [Key(name, NAMES_OR_TEXT, "target_modules") for name in "abc"]


def test_a_null_states_nothing_and_a_later_key_takes_the_place_over() -> None:
    node = parse_yaml("a: [x, y]\nb: .*z\nc: null\n", "f.yaml")
    reading = read_keys(node, TARGETS, "f.yaml")
    assert reading.stated == {"target_modules": ".*z"}
    assert reading.key_of == {"target_modules": "b"}
    assert ("target_modules", "x") not in reading.spots


def test_a_null_alone_is_known_by_its_place() -> None:
    reading = read_keys(parse_yaml("z: 1\na:\nb:\n", "f.yaml"), TARGETS, "f.yaml")
    assert reading.stated == {}
    assert reading.key_of == {"target_modules": "a"}
    assert reading.spots["target_modules", None].line == 2


def test_entries_of_lists_and_mappings_know_where_they_stand() -> None:
    text = "a: [x, 'y', x]\np:\n  q_proj: 4\n"
    keys = [*TARGETS, Key("p", BY_NAME, "rank_pattern")]
    spots = read_keys(parse_yaml(text, "f.yaml"), keys, "f.yaml").spots
    assert {place: text[spot.start : spot.end] for place, spot in spots.items()} == {
        ("target_modules", None): "[x, 'y', x]",
        ("target_modules", "x"): "x",
        ("target_modules", "y"): "'y'",
        ("rank_pattern", None): "q_proj: 4",
        ("rank_pattern", "q_proj"): "q_proj",
    }
    assert spots["target_modules", "x"].column == 5


def test_a_key_without_a_field_is_the_tool_s_own_setting() -> None:
    reading = read_keys(parse_yaml("d: no\ne:\n", "f"), [Key("d", FLAG), Key("e", FLAG)], "f")
    assert (reading.options, reading.stated) == ({"d": False}, {})
    assert {place: spot.line for place, spot in reading.spots.items()} == {("", "d"): 1}


def test_one_word_of_a_command_is_a_list_of_one() -> None:
    (node,) = parse_shell("trl sft --a x", "f.sh")
    reading = read_keys(node, TARGETS, "f.sh")
    assert reading.stated == {"target_modules": ("x",)}
    assert reading.key_of == {"target_modules": "--a"}


@pytest.mark.parametrize(
    ("value", "what", "hint"),
    [
        ("[8]", "lora.rank is [8]", None),
        ("${R}", "lora.rank is '${R}'", "Write the value itself in place of the variable."),
    ],
)
def test_a_wrong_type_names_line_section_and_key(value: Any, what: str, hint: str | None) -> None:
    node = parse_yaml(f"\nrank: {value}\n", "f.yaml")
    with pytest.raises(RecipeError) as raised:
        read_keys(node, [Key("rank", WHOLE, "r")], "f.yaml", section="lora.")
    assert raised.value.what == f"f.yaml, line 2: {what}; expected a whole number."
    assert raised.value.hint == hint


def test_the_first_key_that_says_a_field_is_its_name() -> None:
    assert names_of([*TARGETS, Key("d", FLAG)]) == {"target_modules": "a"}


def test_the_first_key_that_is_there_names_a_model() -> None:
    node = parse_yaml("a: 1\nb: ''\nc: m\nd:\n", "f.yaml")
    assert text_of(node, "x", "d", "c", where="f.yaml") == "m"
    assert text_of(node, "b", "c", where="f.yaml") is None
    assert text_of(node, "x", where="f.yaml") is None
    with pytest.raises(RecipeError, match=r"^f\.yaml, line 1: a is 1; expected text\.$"):
        text_of(node, "a", where="f.yaml")


def test_text_with_an_unknown_variable_is_not_known() -> None:
    (node,) = parse_shell("trl sft --model $M --name m", "f.sh")
    assert text_of(node, "model", where="f.sh") is None
    assert text_of(node, "name", where="f.sh") == "m"
