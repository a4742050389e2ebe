import pytest

from lorascope.core.numbers import counted, exact, percent, plain, short, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (2272, "2.27 k"),
        (8_030_261_248, "8.03 B"),
        (30_500_000_000, "30.5 B"),
        (671_026_419_200, "671 B"),
        (1_500_000_000_000, "1.50 T"),
    ],
)
def test_short_counts(count: int, text: str) -> None:
    assert short(count) == text


def test_exact_counts_are_readable_and_whole() -> None:
    assert exact(8_030_261_248) == "8,030,261,248"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 100, "0.00%"),
        (1, 10**9, "<0.01%"),
        (42, 100_000, "0.04%"),
        (1, 8, "12.5%"),
        (999_999, 10**6, ">99.9%"),
        (7, 7, "100.0%"),
        (1, 0, "–"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_everything(
    part: int, whole: int, text: str
) -> None:
    assert percent(part, whole) == text


def test_sizes_are_binary() -> None:
    assert size(1000) == "1000 bytes"
    assert size(13_648_688) == "13.0 MiB"


def test_floats_without_a_needless_fraction() -> None:
    assert (plain(16.0), plain(0.5)) == ("16", "0.5")


def test_nouns_follow_their_number() -> None:
    assert counted(1, "module") == "1 module"
    assert counted(2048, "module") == "2,048 modules"
