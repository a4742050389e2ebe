"""The best choice equals trying every subset, by the own search and by the solver."""

from __future__ import annotations

import sys
from itertools import combinations
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorascope.core.errors import MissingDependencyError
from lorascope.planning.knapsack import MOST_WORK, Costs, Item, _groups, best_choice, by_sums
from lorascope.planning.solver import by_solver

# Few different costs and scores, so that ties and equal sums are common.
COSTS = st.tuples(st.integers(0, 6), st.integers(0, 6)) | st.tuples(
    st.sampled_from([1_000_003, 200_000, 10**9]), st.integers(0, 10**12)
)
SCORES = st.sampled_from([0.5, 1.0, 2.0]) | st.floats(1e-3, 1e3)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[Item], Costs]:
    pairs = draw(st.lists(st.tuples(SCORES, COSTS), max_size=8))
    items = [Item(f"m{i}", score, costs) for i, (score, costs) in enumerate(pairs)]
    limits = tuple(
        draw(st.integers(0, max(1, sum(item.costs[i] for item in items)))) for i in (0, 1)
    )
    return items, (limits[0], limits[1])


def _value(items: list[Item], names: frozenset[str]) -> float:
    return sum(item.score for item in items if item.name in names)


def _keeps_to(items: list[Item], names: frozenset[str], limits: Costs) -> bool:
    return all(
        sum(item.costs[i] for item in items if item.name in names) <= limits[i] for i in (0, 1)
    )


def _best_value(items: list[Item], limits: Costs) -> float:
    subsets = (
        frozenset(item.name for item in subset)
        for count in range(len(items) + 1)
        for subset in combinations(items, count)
    )
    return max(_value(items, each) for each in subsets if _keeps_to(items, each, limits))


@given(problems())
def test_the_own_search_equals_brute_force(problem: tuple[list[Item], Costs]) -> None:
    items, limits = problem
    chosen = best_choice(items, limits)
    assert chosen.is_proven
    assert _keeps_to(items, chosen.names, limits)
    assert isclose(_value(items, chosen.names), _best_value(items, limits), rel_tol=1e-9)


@settings(deadline=None, max_examples=50)
@given(problems())
def test_the_solver_equals_brute_force(problem: tuple[list[Item], Costs]) -> None:
    pytest.importorskip("scipy")
    items, limits = problem
    groups = _groups(items, limits)
    if not groups:
        return
    chosen = by_solver(groups, limits)
    assert chosen.is_proven
    assert _keeps_to(items, chosen.names, limits)
    assert isclose(_value(items, chosen.names), _best_value(items, limits), rel_tol=1e-6)


def _many(count: int) -> list[Item]:
    """Costs with no common sums, so that the sums soon are too many to go through."""
    return [Item(f"m{i}", 1 + (i * 7919) % 101, (i * i + 10_007, 3 * i + 1)) for i in range(count)]


def test_a_large_space_goes_to_the_solver() -> None:
    pytest.importorskip("scipy")
    items = _many(60)
    limits = 200_000, 10**9
    assert by_sums(_groups(items, limits), limits, MOST_WORK) is None
    chosen = best_choice(items, limits)
    assert _keeps_to(items, chosen.names, limits)
    # No greedy choice by score for each unit of cost is better.
    greedy: set[str] = set()
    for item in sorted(items, key=lambda each: each.score / each.costs[0], reverse=True):
        if _keeps_to(items, frozenset({*greedy, item.name}), limits):
            greedy.add(item.name)
    assert _value(items, chosen.names) >= _value(items, frozenset(greedy))


def test_modules_of_few_sizes_need_no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    # Those of Llama-3.1-8B at rank 8, each with a score of its own.
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    sizes = (8192, 5120, 5120, 8192, 18432, 18432, 18432)
    items = [
        Item(f"{layer}.{i}", 1 + ((layer * 7 + i) * 7919) % 97, (8 * cost, 0))
        for layer in range(32)
        for i, cost in enumerate(sizes)
    ]
    chosen = best_choice(items, (5_000_000, 0))
    assert 0 < len(chosen.names) < len(items)


def test_without_scipy_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(MissingDependencyError) as caught:
        best_choice(_many(60), (200_000, 10**9))
    assert "60 scored modules" in caught.value.what
    assert caught.value.hint == "Install it with: pip install 'lorascope[solver]'"
