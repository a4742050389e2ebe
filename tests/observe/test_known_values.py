"""Values where no weight went in, shapes where one did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorascope.observe.known_values import MOST_KNOWN, TooSlowError, known_values

WEIGHT = torch.empty((5, 3), device="meta")


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with known_values():
        yield


def test_what_meta_is_asked_for_keeps_its_values() -> None:
    made = torch.arange(4, device="meta") + torch.tensor([1, 0, 0, 0], device="meta")
    assert made.tolist() == [1, 1, 2, 3]
    assert made.to("meta").sum().item() == 7


def test_what_meets_a_weight_has_a_shape_only() -> None:
    made = torch.ones(2, 5) @ WEIGHT
    assert made.is_meta
    assert made.shape == (2, 3)


def test_empty_memory_is_the_same_in_every_run() -> None:
    assert torch.empty(1000, device="meta").abs().sum() == 0


def test_nothing_large_is_made() -> None:
    assert torch.zeros(MOST_KNOWN + 1, device="meta").is_meta


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_known_mask_chooses_as_many_rows_as_it_has(mask: list[bool]) -> None:
    with known_values():
        known = torch.tensor(mask)
        assert WEIGHT[known].shape == (sum(mask), 3)
        assert WEIGHT.masked_select(known[:, None]).shape == (3 * sum(mask),)
        assert torch.equal(known.nonzero()[:, 0], torch.tensor(mask).nonzero()[:, 0])


def test_a_mask_without_values_chooses_all() -> None:
    mask = WEIGHT > 0
    assert WEIGHT[mask].shape == (15,)
    assert mask.any(1).nonzero().tolist() == [[0], [1], [2], [3], [4]]
    assert not mask.all()


def test_writing_what_is_unknown_makes_a_known_tensor_unknown() -> None:
    made = torch.zeros(5, 3)
    view = made[1:]
    made.add_(WEIGHT)
    assert (view * 2).is_meta
    assert view.sum().item() == 0
    made[WEIGHT > 0] = torch.ones(7)
    assert made.shape == (5, 3)


def test_an_operator_that_meta_lacks_gives_a_shape() -> None:
    assert torch.histc(WEIGHT, bins=4).shape == (4,)


def test_what_takes_too_long_is_cut() -> None:
    with known_values(seconds=-1.0), pytest.raises(TooSlowError):
        torch.zeros(1)
