"""Amounts of memory as people write them, and what is told of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorascope.core.numbers import MOST_BYTES, parse_bytes

UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


@given(st.integers(1, 900), st.sampled_from(sorted(UNITS)), st.booleans(), st.booleans())
def test_a_number_and_its_unit_are_read_in_either_case(
    number: int, unit: str, is_lower: bool, is_apart: bool
) -> None:
    text = f"{number}{' ' * is_apart}{unit.lower() if is_lower else unit}"
    assert parse_bytes(text) == number * UNITS[unit]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("24GiB", 25_769_803_776),
        (" 1.5 gb ", 1_500_000_000),
        ("0.1GiB", 107_374_182),
        ("1024TiB", MOST_BYTES),
        ("800000b", 800_000),
    ],
)
def test_fractions_are_cut_to_whole_bytes(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("24", "'24' has no unit; expected for example 24GiB"),
        ("24G", "'24G' has the unit 'G'; expected 24GiB or 24GB"),
        ("80 gigs", "has the unit 'gigs'; expected for example 24GiB"),
        ("5PB", "has the unit 'PB'"),
        ("-1GiB", "'-1GiB' is no amount of memory"),
        ("nan", "'nan' is no amount of memory"),
        ("nanGiB", "is no amount of memory"),
        ("inf", "is no amount of memory"),
        ("1e3GiB", "is no amount of memory"),
        ("1,5GiB", "is no amount of memory"),
        ("", "'' is no amount of memory"),
        ("GiB", "is no amount of memory"),
        ("٣GiB", "is no amount of memory"),
        ("0GiB", "'0GiB' is no memory at all"),
        ("0.1B", "is no memory at all"),
        ("1025TiB", "is more than any device has"),
        ("9" * 18 + "GiB", "is more than any device has"),
        ("9" * 5000 + "GiB", "is no amount of memory"),
    ],
)
def test_anything_else_is_told_with_what_is_expected(text: str, told: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_bytes(text)
    assert told in str(caught.value)
