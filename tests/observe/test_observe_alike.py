"""Blocks that are alike, and sequences in which a period repeats."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lorascope.observe.alike import Repeats, repeats, signature


class Block(nn.Module):
    def __init__(self, layer_idx: int, width: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.layer_idx = layer_idx
        self.linear = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)


def test_the_position_of_a_block_is_no_difference() -> None:
    assert signature(Block(0)) == signature(Block(7))


def test_shapes_attributes_and_classes_are() -> None:
    kinds = {signature(Block(0)), signature(Block(0, width=5)), signature(Block(0, dropout=0.5))}
    other = Block(0)
    other.linear = nn.Identity()
    assert len(kinds | {signature(other)}) == 4


def test_one_class_all_along_is_a_period_of_one() -> None:
    assert repeats("aaaaaaab", kept=4) == (Repeats(0, 1, 7),)


def test_a_pattern_is_found_behind_other_blocks() -> None:
    assert repeats("xxx" + "ssf" * 6 + "s", kept=4) == (Repeats(3, 3, 6),)


def test_two_parts_of_one_stack() -> None:
    assert repeats("a" * 6 + "b" * 7, kept=4) == (Repeats(0, 1, 6), Repeats(6, 1, 7))


def test_too_few_periods_are_none() -> None:
    assert repeats("aaaa", kept=4) == ()


@given(st.text("ab", max_size=40), st.integers(1, 4))
def test_each_part_repeats_and_none_overlap(items: str, kept: int) -> None:
    stop = 0
    for part in repeats(items, kept):
        assert part.start >= stop
        assert part.count > kept
        stop = part.stop
        period = items[part.start : part.start + part.period]
        assert items[part.start : part.stop] == period * part.count


@given(st.text("ab", min_size=1, max_size=4), st.integers(5, 9))
def test_a_pure_pattern_is_cut_to_few_periods(period: str, count: int) -> None:
    items = period * count
    left = len(items) - sum((part.count - 4) * part.period for part in repeats(items, kept=4))
    assert left <= 4 * len(period)
