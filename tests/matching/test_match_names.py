"""Entries of a list name modules as PEFT's own expression says, without going through all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorascope.matching.names import EntryList, ancestors

_TEXT = st.text(alphabet="ab.", max_size=6)


@given(name=_TEXT, entries=st.lists(_TEXT, max_size=6))
def test_as_peft_does(name: str, entries: list[str]) -> None:
    expected = {each for each in entries if name == each or name.endswith(f".{each}")}
    found = list(EntryList(entries).naming(name))
    assert set(found) == expected
    assert found == sorted(found, key=len, reverse=True)


def test_the_most_specific_entry_comes_first() -> None:
    entries = EntryList(["c", "b.c", "x.c"])
    assert entries.named(["a.b.c", "c", "d"]) == {"a.b.c": "b.c", "c": "c"}
    assert entries.first_naming("a.d") is None


def test_ancestors() -> None:
    assert list(ancestors("a.b.c")) == ["a.b", "a"]
    assert list(ancestors("a")) == []
