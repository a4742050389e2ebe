"""Choices too many to go through, given to HiGHS by way of SciPy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from lorascope.core.errors import MissingDependencyError, PlanError
from lorascope.planning.knapsack import Chosen, Costs, Groups, Item

TIME_LIMIT = 20.0
"""Seconds after which the best choice so far is taken."""
_MOST_REPAIRS = 5


@dataclass(frozen=True, slots=True)
class _Alike:
    """Items of the same costs and score: how many of them is one variable."""

    costs: Costs
    score: float
    items: Sequence[Item]


def by_solver(groups: Groups, limits: Costs, time_limit: float = TIME_LIMIT) -> Chosen:
    """Return the best choice as mixed-integer programming finds it.

    Raises:
        MissingDependencyError: SciPy is not installed.
        PlanError: The solver found nothing in its time.
    """
    alike = tuple(_alike(groups))
    room = limits
    for _ in range(_MOST_REPAIRS):
        counts, is_proven = _solved(alike, room, time_limit)
        over = tuple(
            sum(each.costs[i] * count for each, count in zip(alike, counts, strict=True))
            - limits[i]
            for i in (0, 1)
        )
        if max(over) <= 0:
            names = (
                item.name
                for each, count in zip(alike, counts, strict=True)
                for item in each.items[:count]
            )
            return Chosen(frozenset(names), is_proven)
        # A solver calculates in floats and may be over by a rounding.
        room = room[0] - max(0, over[0]), room[1] - max(0, over[1])
    raise PlanError("The solver's choice does not keep to the budget.", "Ask for a little less.")


def _solved(
    alike: Sequence[_Alike], limits: Costs, time_limit: float
) -> tuple[Sequence[int], bool]:
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
    except ImportError as error:
        raise MissingDependencyError(
            f"Choosing among {sum(len(each.items) for each in alike):,} scored modules of so many"
            " sizes needs SciPy's solver, which is not installed.",
            "Install it with: pip install 'lorascope[solver]'",
        ) from error
    rows, most = [], []
    for i in (0, 1):
        unit = gcd(*(each.costs[i] for each in alike)) or 1
        rows.append([each.costs[i] // unit for each in alike])
        most.append(limits[i] // unit)
    largest = max(each.score for each in alike)
    result = milp(
        [-each.score / largest for each in alike],
        integrality=[1] * len(alike),
        bounds=Bounds([0] * len(alike), [len(each.items) for each in alike]),
        constraints=LinearConstraint(rows, ub=most),
        options={"time_limit": time_limit, "mip_rel_gap": 0.0},
    )
    if result.x is None:
        raise PlanError(f"The solver found no choice: {result.message}")
    return [round(value) for value in result.x], result.status == 0


def _alike(groups: Groups) -> Iterator[_Alike]:
    for costs, members in groups.items():
        by_score: dict[float, list[Item]] = defaultdict(list)
        for item in members:
            by_score[item.score].append(item)
        for score, items in by_score.items():
            yield _Alike(costs, score, items)
