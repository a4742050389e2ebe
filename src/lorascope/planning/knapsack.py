"""The items with the largest total score under one or two limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

MOST_WORK = 300_000
"""Sums that the own search looks at, in about a second; a space with more is given to a solver."""

Costs = tuple[int, int]
"""What an item takes of each limit."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that may be chosen."""

    name: str
    score: float
    """Above 0."""
    costs: Costs


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best choice."""

    names: frozenset[str]
    is_proven: bool = True
    """False if a solver ran out of time before it had shown that nothing is better."""


Groups = Mapping[Costs, Sequence[Item]]
"""Items of the same costs, the best first: of these the best are always chosen first."""


def best_choice(items: Iterable[Item], limits: Costs) -> Chosen:
    """Return the items with the largest total score whose costs keep to both limits.

    Args:
        items: What may be chosen.
        limits: Most of each cost.

    Raises:
        MissingDependencyError: The space is large and SciPy is not installed.
    """
    items, limits = _without_loose(tuple(items), limits)
    groups = _groups(items, limits)
    names = by_sums(groups, limits, MOST_WORK)
    if names is not None:
        return Chosen(names)
    from lorascope.planning.solver import by_solver

    return by_solver(groups, limits)


def by_sums(groups: Groups, limits: Costs, most_work: int) -> frozenset[str] | None:
    """Go through all sums of costs that there are, with the best choice for each.

    Returns:
        The names of the best choice; None if there are more than `most_work` sums to look at.
    """
    # Sum of costs → score, and how many of each group so far as a linked list.
    best: dict[Costs, tuple[float, _Counts]] = {(0, 0): (0.0, None)}
    work = 0
    for costs, members in groups.items():
        work += len(best) * (len(members) + 1)
        if work > most_work:
            return None
        best = _with_group(best, costs, members, limits)
    _, counts = max(best.values(), key=lambda entry: entry[0])
    names: set[str] = set()
    for members in reversed(list(groups.values())):
        if counts is None:
            break
        counts, count = counts
        names.update(item.name for item in members[:count])
    return frozenset(names)


_Counts = tuple["_Counts", int] | None


def _with_group(
    best: Mapping[Costs, tuple[float, _Counts]],
    costs: Costs,
    members: Sequence[Item],
    limits: Costs,
) -> dict[Costs, tuple[float, _Counts]]:
    found: dict[Costs, tuple[float, _Counts]] = {}
    for (first, second), (score, counts) in best.items():
        total = score
        for count in range(len(members) + 1):
            sums = first + count * costs[0], second + count * costs[1]
            if sums[0] > limits[0] or sums[1] > limits[1]:
                break
            total += members[count - 1].score if count else 0.0
            if sums not in found or total > found[sums][0]:
                found[sums] = total, (counts, count)
    return found


def _without_loose(items: Sequence[Item], limits: Costs) -> tuple[Sequence[Item], Costs]:
    """Leave limits aside that all items together keep to."""
    for i in (0, 1):
        if sum(item.costs[i] for item in items) <= limits[i]:
            items = [replace(item, costs=_with(item.costs, i, 0)) for item in items]
            limits = _with(limits, i, 0)
    return items, limits


def _with(costs: Costs, index: int, value: int) -> Costs:
    return (value, costs[1]) if index == 0 else (costs[0], value)


def _groups(items: Iterable[Item], limits: Costs) -> Groups:
    """Items by costs, without those that alone take too much."""
    groups: dict[Costs, list[Item]] = defaultdict(list)
    for item in items:
        if item.costs[0] <= limits[0] and item.costs[1] <= limits[1]:
            groups[item.costs].append(item)
    return {
        costs: sorted(members, key=lambda item: item.score, reverse=True)
        for costs, members in groups.items()
    }
