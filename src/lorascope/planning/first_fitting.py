"""The first point of a grid that fits, in lexicographic order, with as few questions as can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Point = tuple[int, ...]
"""One index on each axis."""
_Fits = Callable[[Point], bool]


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that may be given up, step by step; index 0 gives up nothing."""

    length: int
    is_monotone: bool
    """Whether a point that fits still fits at every higher index here, all else being equal."""


def first_fitting(axes: Sequence[Axis], fits: _Fits, *, is_hopeful: bool = True) -> Point | None:
    """Return the first point that fits, in lexicographic order: the last axis moves first.

    On monotone axes it asks for the first and the last index, and then bisects. If an axis claims
    to be monotone and is not, what is returned still fits, but may not be the first that does.

    Args:
        axes: The grid; none is empty.
        fits: Whether a point fits. It is asked at most once for each.
        is_hopeful: Whether to begin with the very first point and those that differ from it on the
            last axis alone; else it begins with what is likeliest to fit. The answer is the same.

    Returns:
        The point; None if none fits.
    """
    seen: dict[Point, bool] = {}

    def ask(point: Point) -> bool:
        if point not in seen:
            seen[point] = fits(point)
        return seen[point]

    if is_hopeful:
        start = (0,) * (len(axes) - 1)
        row = ((*start, index) for index in range(_first_row(axes)))
        found = next((point for point in row if ask(point)), None)
        if found is not None:
            return found
    elif not _is_possible(axes, (), ask):
        return None
    return _first(axes, (), ask)


def most_questions(axes: Sequence[Axis]) -> int:
    """Return how often `first_fitting` asks at most."""
    first, possible, points = 1, 1, 1
    for axis in reversed(axes):
        points *= axis.length
        if axis.is_monotone and axis.length > 1:
            first += (2 + (axis.length - 1).bit_length()) * possible
        else:
            first, possible = axis.length * first, axis.length * possible
    return min(_first_row(axes) + first, points)


def _first_row(axes: Sequence[Axis]) -> int:
    """How many points are asked before all others."""
    return 1 if axes[-1].is_monotone else axes[-1].length


def _first(axes: Sequence[Axis], head: Point, ask: _Fits) -> Point | None:
    """The first point that begins with `head` and fits."""
    if len(head) == len(axes):
        return head if ask(head) else None
    axis = axes[len(head)]
    if not axis.is_monotone or axis.length == 1:
        tries = (_first(axes, (*head, index), ask) for index in range(axis.length))
        return next((found for found in tries if found is not None), None)
    too_low, enough = 0, axis.length - 1
    # Once something dearer is given up, the likeliest is that nothing here fits at all.
    if any(head) and not _is_possible(axes, (*head, enough), ask):
        return None
    if _is_possible(axes, (*head, too_low), ask):
        return _first(axes, (*head, too_low), ask)
    if not _is_possible(axes, (*head, enough), ask):
        return None
    while enough - too_low > 1:
        middle = (too_low + enough) // 2
        if _is_possible(axes, (*head, middle), ask):
            enough = middle
        else:
            too_low = middle
    return _first(axes, (*head, enough), ask)


def _is_possible(axes: Sequence[Axis], head: Point, ask: _Fits) -> bool:
    """Whether any point that begins with `head` fits: on monotone axes the last index decides."""
    if len(head) == len(axes):
        return ask(head)
    axis = axes[len(head)]
    # The last index is the likeliest on the other axes too.
    indices = [axis.length - 1] if axis.is_monotone else range(axis.length - 1, -1, -1)
    return any(_is_possible(axes, (*head, index), ask) for index in indices)
