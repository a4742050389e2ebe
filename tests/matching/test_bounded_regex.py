"""Patterns that nobody vouches for: same answers as `re`, in bounded time."""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import within
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.matching.bounded_regex import BoundedRegex, Pattern, compiled_pattern
from lorascope.matching.pattern_cost import backtracking_bound

CATASTROPHIC = [
    r"(a+)+$",
    r"([a-zA-Z0-9_.]+)*!",
    r"(.*)*\1x",
    r"(\w|\.|_)*(\w|\.|_)*(\w|\.|_)*#",
    r"(.+)+(.+)+(.+)+Z",
]


def many_names() -> list[str]:
    return [
        f"model.layers.{layer}.mlp.experts.{expert}.{'a' * 24}_{name}"
        for layer in range(60)
        for expert in range(250)
        for name in ("gate_proj", "up_proj", "down_proj", "act")
    ]


@pytest.mark.parametrize("text", CATASTROPHIC)
def test_catastrophic_patterns_end(text: str) -> None:
    names = many_names()
    assert len(names) == 60_000
    with within(3), suppress(SpecificationError):
        BoundedRegex().matching(Pattern(text, "target_modules"), names, whole=True)


def test_too_slow_a_pattern_is_named() -> None:
    pattern = Pattern(r"(a+)+!", "exclude_modules")
    with pytest.raises(SpecificationError) as caught:
        BoundedRegex(0.3).matching(pattern, ["a" * 64], whole=True)
    assert "exclude_modules: the pattern '(a+)+!' takes longer than 0.3 s" in caught.value.what


def test_the_time_limit_is_shared_by_all_patterns_of_a_request() -> None:
    regex = BoundedRegex(1.0)
    # The last is stopped, or not tried where the others have used up everything.
    with within(3), pytest.raises(SpecificationError, match="takes? longer than 1 s"):
        match_again_and_again(regex, Pattern(r"(a+)+!", "rank_pattern"))


def match_again_and_again(regex: BoundedRegex, pattern: Pattern) -> None:
    for number in range(1000):
        regex.matching(pattern, [f"{'a' * 20}{number}"], whole=True)


def test_what_took_too_long_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    regex = BoundedRegex(0.3)
    with pytest.raises(UnmodelledError, match="takes longer than 0.3 s"):
        regex.matching(Pattern(r"(a+)+!", "target_modules"), ["a" * 64], whole=True)
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    for text in (r"(a+)+!", r"(b+)+!"):
        with pytest.raises(UnmodelledError, match="was not tried"):
            regex.matching(Pattern(text, "rank_pattern"), ["a" * 64])
        with pytest.raises(UnmodelledError, match="was not tried"):
            regex.any_matching([Pattern(text, "rank_pattern")], ["a" * 64])


def test_one_question_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    regex = BoundedRegex()
    first = regex.matching(Pattern(r"(a|b)+", "target_modules"), ["ab", "c"])
    monkeypatch.setattr("lorascope.matching.bounded_regex.subprocess", None)
    assert regex.matching(Pattern(r"(a|b)+", "exclude_modules"), ["ab", "c"]) is first


def test_many_patterns_are_asked_together() -> None:
    texts = ["a.*", "(a|b)+c", "(x|y)+", "[", "(a+)+(", "c", ""]
    patterns = [Pattern(text, "target_modules") for text in texts]
    found = BoundedRegex().any_matching(patterns, ["abc", "ab"])
    assert found == (True, True, False, None, None, False, False)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("layers.(0", "missing ), unterminated subpattern at position 7"),
        ("a**", "multiple repeat at position 2"),
        ("[z-a]", "bad character range z-a at position 1"),
        ("(?P<x>a)(?P=y)", "unknown group name 'y'"),
    ],
)
def test_an_invalid_pattern_says_where(text: str, fragment: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        BoundedRegex().matching(Pattern(text, "target_modules"), ["a"], whole=True)
    assert fragment in caught.value.what
    assert "target_modules" in caught.value.what


def test_the_position_is_that_in_the_entry_not_in_what_peft_writes_around_it() -> None:
    with pytest.raises(SpecificationError, match="at position 1"):
        compiled_pattern(Pattern("q(", "rank_pattern", before=r"(.*\.)?(", after=")$"))


def test_an_unbalanced_entry_is_fine_where_peft_makes_it_balanced() -> None:
    pattern = Pattern("q)|(v", "rank_pattern", before=r"(.*\.)?(", after=")$")
    assert set(BoundedRegex().matching(pattern, ["a.q", "v"])) == {"a.q", "v"}


def test_a_child_gives_groups_as_well() -> None:
    pattern = Pattern(r"(?=.)(?P<idx>\d+)(a|b)+", "layers_pattern")
    found = BoundedRegex().matching(pattern, ["12ab", "x"], group="idx")
    assert found == {"12ab": "12"}


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        (r"model\.layers", 1),
        (".*", 11),
        (r".*\.(q|k|v)_proj", 33),
        ("a?b?", 4),
        ("[*+]", 1),
        (r"\(\d+\)", 11),
        ("a{2,3}", 11),
        ("x|y", 2),
    ],
)
def test_bound_of_harmless_patterns(text: str, bound: float) -> None:
    assert backtracking_bound(text, 10) == bound


@pytest.mark.parametrize(
    "text", ["(a*)*", "(a|b)+", "(a){2}", r"(a)\1", "(?=a)a", "(?i)a", "(?P=a)", "[a", "((a)+b)"]
)
def test_unbounded_or_unknown_patterns(text: str) -> None:
    assert backtracking_bound(text, 10) == float("inf")


@pytest.mark.filterwarnings("ignore:Possible (nested|set)")
@given(
    text=st.text(alphabet=r"ab.*+?()|[]\d^$-{}1", max_size=8),
    names=st.lists(st.text(alphabet="ab.1", max_size=6), max_size=4, unique=True),
)
def test_the_answers_are_those_of_re(text: str, names: list[str]) -> None:
    pattern = Pattern(text, "target_modules")
    try:
        compiled = compiled_pattern(pattern)
    except SpecificationError:
        with pytest.raises(re.error):
            re.compile(text)
        return
    found = BoundedRegex().matching(pattern, names, whole=True)
    assert list(found) == [name for name in names if compiled.fullmatch(name)]


def test_many_costly_patterns_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorascope.matching.bounded_regex._LONGEST_IN_PROCESS_S", 0.0)
    with pytest.raises(UnmodelledError, match="take longer than 0 s together"):
        BoundedRegex().matching(Pattern("a.*b", "rank_pattern"), ["ab"])
