"""Names looked up by their ends give what going through all of them gives."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

import builders
from clock import within
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.names import Endings
from lorascope.matching.patterns import KeyedNames, deciding_keys
from lorascope.matching.selection import saved_names

NAMES = st.lists(st.text(alphabet="ab._1", max_size=7), max_size=8, unique=True)
KEYS = st.text(alphabet="ab._1-", min_size=1, max_size=5)


@given(NAMES, st.text(alphabet="ab._1", max_size=4))
def test_endings(names: list[str], end: str) -> None:
    endings = Endings(names)
    assert endings.ending(end) == [name for name in names if name.endswith(end)]
    assert endings.like(end) == [n for n in names if re.search(rf"(?:{end})\Z", n)]


@given(NAMES, KEYS)
def test_a_plain_key_matches_as_its_regular_expression_does(names: list[str], key: str) -> None:
    known = KeyedNames(names)
    wanted = [name for name in names if re.match(rf"(.*\.)?({key})$", name)]
    assert known.matching(key, "rank_pattern", BoundedRegex()) == wanted


@given(NAMES, st.text(alphabet="ab_1-", min_size=1, max_size=4))
def test_a_saved_word_is_a_part_of_a_name(names: list[str], word: str) -> None:
    wanted = [name for name in names if re.match(rf"(^|.*\.){word}($|\..*)", name)]
    assert list(saved_names(names, [word], BoundedRegex())) == wanted


def test_names_with_line_ends_are_matched_as_re_does() -> None:
    assert KeyedNames(["a.q\n", "q", "a\n.q"]).matching("q", "rank_pattern", BoundedRegex()) == [
        "a.q\n",
        "q",
    ]
    assert list(saved_names(["a.q\n", "b"], ["q"], BoundedRegex())) == ["a.q\n"]


def test_a_key_for_each_of_many_names_is_quick() -> None:
    names = [module.path for module in builders.wide().adaptable]
    assert len(names) > 40_000
    keys = names[::9]
    with within(3):
        decided = deciding_keys(names, keys, "rank_pattern", BoundedRegex())
    assert decided == {key: key for key in keys}
