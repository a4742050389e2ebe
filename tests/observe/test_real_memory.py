"""A run on values takes bounded memory and time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

from lorascope.observe import deadline
from lorascope.observe.deadline import Deadline
from lorascope.observe.known_values import known_values
from lorascope.observe.real_memory import MOST_AT_ONCE, MOST_TOGETHER, TooLargeError
from lorascope.observe.twin import hollow_twin

ONE = torch.ones(1)
LARGE = MOST_AT_ONCE // 4 + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(LARGE),
        lambda: torch.arange(0, 1, 1e-12),
        lambda: ONE.new_zeros(LARGE),
        lambda: ONE.repeat(LARGE),
        lambda: torch.nn.functional.pad(ONE, (0, LARGE)),
        lambda: ONE.expand(LARGE) + 1,
        lambda: ONE.expand(LARGE, 1) @ ONE.expand(1, 1),
        lambda: torch.repeat_interleave(torch.tensor([LARGE, 3])),
        lambda: torch.bincount(torch.tensor([LARGE])),
        lambda: torch.cat([ONE.expand(LARGE // 2)] * 3),
    ],
)
def test_no_operator_makes_more_than_it_may(make: Callable[[], torch.Tensor]) -> None:
    with known_values(), pytest.raises(TooLargeError, match="MiB of real memory"):
        make()


def test_what_lives_at_once_is_bounded_and_what_is_freed_is_not_counted() -> None:
    half = MOST_AT_ONCE // 8
    with known_values():
        for _ in range(2 * MOST_TOGETHER // (4 * half)):
            torch.empty(half)
        kept = [torch.empty(half) for _ in range(MOST_TOGETHER // (4 * half))]
        with pytest.raises(TooLargeError):
            kept.append(torch.empty(half))


def test_views_of_any_size_are_free() -> None:
    with known_values():
        assert ONE.expand(2**40).numel() == 2**40


def test_waiting_ends_a_run_as_computing_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "WAITING", 1.0)
    end = Deadline(0.02)
    assert not end.is_over
    time.sleep(0.03)
    assert end.is_over


def test_no_copy_holds_more_than_a_run_may() -> None:
    model = torch.nn.Module()
    with torch.device("meta"):
        model.register_buffer("table", torch.empty(LARGE))
    with pytest.raises(TooLargeError, match="buffers"):
        hollow_twin(model)
    with torch.device("meta"):
        layer = torch.nn.Linear(2**20, 2**10)
    with pytest.raises(TooLargeError, match="weight"):
        hollow_twin(layer)
