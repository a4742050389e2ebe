from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from clock import within
from lorascope.core.errors import RecipeError
from lorascope.formats.node import Node
from lorascope.formats.yaml_document import LARGEST_YAML, parse_yaml

TEXT = (
    "\ufeffé𝄞a: [x, 'y']  # c\r\n"
    "b:\r\n"
    "- é𝄞q\r\n"
    '- "v"\r\n'
    "# tail\r\n"
    "c: |\r\n"
    "  foo\r\n"
    "\r\n"
    "d:\r\n"
    "e: {k: 1}\r\n"
)


def written(node: Node, text: str) -> str:
    return text[node.spot.start : node.spot.end]


def test_every_value_knows_where_it_stands() -> None:
    root = parse_yaml(TEXT, "f")
    fields = root.fields
    assert written(fields["é𝄞a"], TEXT) == "[x, 'y']"
    assert [written(item, TEXT) for item in fields["é𝄞a"].items] == ["x", "'y'"]
    assert written(fields["b"], TEXT) == '- é𝄞q\r\n- "v"'
    assert [written(item, TEXT) for item in fields["b"].items] == ["é𝄞q", '"v"']
    assert written(fields["c"], TEXT) == "|\r\n  foo"
    assert written(fields["d"], TEXT) == ""
    assert written(fields["e"], TEXT) == "{k: 1}"
    assert (fields["b"].items[1].spot.line, fields["b"].items[1].spot.column) == (4, 3)
    key = fields["e"].keys["k"]
    assert (TEXT[key.start : key.end], key.line, key.column) == ("k", 10, 5)


SAMPLES = [
    "a: 1\nb: -2\nc: 0x1f\nd: 1_000\ne: 190:20:30\nf: 010\n",
    "a: 1.5\nb: .5\nc: 1e-4\nd: 1.0e-4\ne: .inf\n",
    "a: true\nb: Yes\nc: off\nd: ~\ne:\nf: null\ng: 'true'\n",
    "base: &b {r: 8, s: [1]}\nx:\n  <<: *b\n  r: 9\ny: {<<: [*b, {t: 1}]}\n",
    "- a\n- - b\n  - c\n-\n- {}\n- []\n",
    "a: >\n  folded\n  text\nb: |-\n  kept\n",
    "a: 1\na: 2\n",
    "1: a\ntrue: b\n",
    "x: !!str 5\ny: !!int '7'\nz: !!float 3\n",
    "&k a: 1\nb: *k\n",
    "%YAML 1.1\n---\na: b\n...\n",
    "",
]


@pytest.mark.parametrize("text", [sample for sample in SAMPLES if sample])
def test_values_are_those_of_safe_load(text: str) -> None:
    assert parse_yaml(text, "f").value == yaml.safe_load(text)


def test_a_date_stays_text() -> None:
    assert parse_yaml("a: 2020-01-01\n", "f").value == {"a": "2020-01-01"}


def test_the_last_of_two_equal_keys_counts() -> None:
    root = parse_yaml("a: 1\na: 2\n", "f")
    assert (root.fields["a"].value, root.keys["a"].line) == (2, 2)


def test_what_an_alias_stands_for_keeps_its_place() -> None:
    root = parse_yaml("a: &x [q]\nb: *x\n", "f")
    assert root.fields["b"].spot.line == 2
    assert root.fields["b"].items[0].spot.line == 1


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"b{level}: &b{level} [{','.join(['*' + (f'b{level - 1}' if level else 'a')] * 10)}]\n"
    for level in range(12)
)

REFUSED = {
    "": "f is empty; expected a YAML mapping of keys to values.",
    "# nothing\n": "f is empty",
    "a: [": "f, line 1, column 5: not read as YAML: while parsing a flow node",
    "a: 1 : 2": "f, line 1, column 6: not read as YAML: mapping values are not allowed",
    "a: !!python/object:os.system x": "the tag 'tag:yaml.org,2002:python/object:os.system'",
    "a: !new [x]": "the tag '!new', which is not read",
    "a: !!binary aa": "binary', which is not read",
    "a: *b": "line 1, column 4: not read as YAML: the alias 'b' stands for nothing before it",
    "a: &a [*a]": "the alias 'a' stands for what it is inside of",
    "a: 1\n---\nb: 2\n": "line 2, column 1: not read as YAML: a second document begins here",
    "? [a]\n: b": "a key that is no plain word; expected a name and a colon",
    "a: \x00": "line 1, column 4: not read as YAML: ",
    "a: \ud800": "f holds half a surrogate pair; expected Unicode text.",
    "a: !!int many": "line 1, column 4: not read as YAML: 'many' is no int.",
    "<<: 3": "'<<' with something else than a mapping",
    "[" * 5000: "lists and mappings more than 100 deep",
    "- " * 5000 + "a": "lists and mappings more than 100 deep",
    BOMB: "more than 20,000 values, with what aliases stand for",
    "x" * (LARGEST_YAML + 1): "f has 262,145 characters; expected at most 262,144.",
    "".join(f"%TAG !a{i}! b\n" for i in range(15000)): "f defines tags of its own",
}


@pytest.mark.parametrize("text", REFUSED, ids=[repr(text[:20]) for text in REFUSED])
def test_what_is_refused_says_where(text: str) -> None:
    with within(3), pytest.raises(RecipeError) as error:
        parse_yaml(text, "f")
    assert REFUSED[text] in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + ":".join(["1"] + ["10"] * 80_000),
        "a: " + "1" * 200_000,
        "a: 0b" + "1" * 200_000,
        "a " * 120_000,
        "#" * 250_000 + "\na: 1",
        "\n" * 250_000 + "a: 1",
    ],
    ids=["sexagesimal", "digits", "binary", "words", "comment", "lines"],
)
def test_large_texts_take_no_long_time(text: str) -> None:
    with within(3):
        parse_yaml(text, "f")


class WithoutDates(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """The judge."""


WithoutDates.yaml_implicit_resolvers = {
    first: [row for row in rows if not row[0].endswith((":timestamp", ":value"))]
    for first, rows in WithoutDates.yaml_implicit_resolvers.items()
}


@given(st.text(alphabet="ab1:-?[]{}&*!|>'\"#%,<~ \n\t\r.\ufeff", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        root = parse_yaml(text, "f")
    except RecipeError:
        return
    if "<<" in text:  # the judge refuses it where nothing is merged
        return
    assert 0 <= root.spot.start <= root.spot.end <= len(text)
    assert repr(root.value) == repr(yaml.load(text, WithoutDates))  # noqa: S506 - safe


def test_without_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    fields = parse_yaml(TEXT, "f").fields
    assert [written(item, TEXT) for item in fields["b"].items] == ["é𝄞q", '"v"']
