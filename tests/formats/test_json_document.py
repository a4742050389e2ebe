from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import within
from lorascope.core.errors import RecipeError
from lorascope.formats.json_document import LARGEST_JSON, parse_json
from lorascope.formats.node import Node

TEXT = '\ufeff{\n  "r": 8,\n  "t": ["q\\u0041", "v𝄞"],\n  "p": {"x": null}, "r": 1.5e3\n}\n'


def written(node: Node) -> str:
    return TEXT[node.spot.start : node.spot.end]


def test_every_value_knows_where_it_stands() -> None:
    root = parse_json(TEXT, "f")
    assert root.value == json.loads(TEXT[1:])
    assert written(root) == TEXT.strip("\ufeff\n")
    assert [written(item) for item in root.fields["t"].items] == ['"q\\u0041"', '"v𝄞"']
    assert written(root.fields["p"]) == '{"x": null}'
    assert written(root.fields["r"]) == "1.5e3"
    key = root.fields["p"].keys["x"]
    assert (TEXT[key.start : key.end], key.line, key.column) == ('"x"', 4, 9)
    assert root.keys["r"].line == 4


REFUSED = {
    "": "f is empty; expected a JSON object.",
    "{": "f, line 1, column 2: not read as JSON: the end of the text; expected a key in double",
    '{"a": 1,}': "column 8: not read as JSON: a comma before '}', which JSON does not allow.",
    '{"a":\n 1 "b": 2}': "f, line 2, column 4: not read as JSON: '\"'; expected a comma or '}'.",
    '{"a" 1}': "expected a colon after the key",
    "{a: 1}": "'a'; expected a key in double quotes",
    "nul": "'n'; expected a value",
    '"abc': "line 1, column 1: not read as JSON: unterminated string.",
    '"a\nb"': "invalid control character",
    '{"a": 1} {': "more text after the end of the value",
    "1" * 5000: "a number of 5,000 digits",
    "[" * 100_000: "lists and objects more than 100 deep",
    "[" + "1," * 200_000 + "1]": "f holds more than 50,000 values; expected fewer.",
    " " * (LARGEST_JSON + 1): "f has 10,000,001 characters; expected at most 10,000,000.",
}


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text[:20]) for text in REFUSED])
def test_what_is_refused_says_where(text: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_json(text, "f")
    assert REFUSED[text] in str(error.value)


def test_special_numbers_are_those_of_python() -> None:
    assert repr(parse_json('{"a": [NaN, Infinity, -Infinity, -0]}', "f").value) == repr(
        json.loads('{"a": [NaN, Infinity, -Infinity, -0]}')
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_values_are_those_of_json(value: object, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert repr(parse_json(text, "f").value) == repr(json.loads(text))


@given(st.text(alphabet='{}[]",:01eE+-.\\ntrufalsN \n', max_size=30))
def test_what_json_refuses_is_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except json.JSONDecodeError:
        with pytest.raises(RecipeError):
            parse_json(text, "f")
    else:
        assert repr(parse_json(text, "f").value) == repr(expected)


def test_a_long_target_list_is_read_quickly() -> None:
    names = [f"model.layers.{layer}.mlp.experts.{i}.up" for layer in range(60) for i in range(256)]
    with within(3):
        parse_json(json.dumps({"target_modules": names}), "f")
