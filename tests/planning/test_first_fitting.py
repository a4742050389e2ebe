"""The search over a grid equals trying every point in order."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from lorascope.planning.first_fitting import Axis, Point, first_fitting, most_questions

AXES = st.lists(st.builds(Axis, st.integers(1, 5), st.booleans()), min_size=1, max_size=4)


def _points(axes: list[Axis]) -> list[Point]:
    return list(product(*(range(axis.length) for axis in axes)))


def _brute_force(axes: list[Axis], fits: dict[Point, bool]) -> Point | None:
    return next((point for point in _points(axes) if fits[point]), None)


@st.composite
def monotone_grids(draw: st.DrawFn) -> tuple[list[Axis], dict[Point, bool]]:
    """What fits is drawn freely, then closed along the monotone axes."""
    axes = draw(AXES)
    seeds = draw(st.sets(st.sampled_from(_points(axes)), max_size=4))
    fits = {
        point: any(
            all(
                p >= s if axis.is_monotone else p == s
                for axis, p, s in zip(axes, point, seed, strict=True)
            )
            for seed in seeds
        )
        for point in _points(axes)
    }
    return axes, fits


@st.composite
def any_grids(draw: st.DrawFn) -> tuple[list[Axis], dict[Point, bool]]:
    axes = draw(AXES)
    points = _points(axes)
    return axes, dict(
        zip(
            points,
            draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points))),
            strict=True,
        )
    )


@given(monotone_grids(), st.booleans())
def test_it_equals_brute_force_where_the_axes_are_as_they_claim(
    grid: tuple[list[Axis], dict[Point, bool]], is_hopeful: bool
) -> None:
    axes, fits = grid
    asked: list[Point] = []
    found = first_fitting(axes, lambda p: asked.append(p) or fits[p], is_hopeful=is_hopeful)
    assert found == _brute_force(axes, fits)
    assert len(asked) == len(set(asked)) <= most_questions(axes)


@given(any_grids())
def test_what_it_finds_fits_whatever_the_axes_claim(
    grid: tuple[list[Axis], dict[Point, bool]],
) -> None:
    axes, fits = grid
    asked: list[Point] = []
    found = first_fitting(axes, lambda p: asked.append(p) or fits[p])
    assert len(asked) == len(set(asked))
    if found is not None:
        assert fits[found]


@given(any_grids())
def test_without_monotone_axes_every_point_is_asked_in_order(
    grid: tuple[list[Axis], dict[Point, bool]],
) -> None:
    axes = [Axis(axis.length, is_monotone=False) for axis in grid[0]]
    found = first_fitting(axes, lambda p: grid[1][p])
    assert found == _brute_force(axes, grid[1])


def test_a_long_axis_is_bisected() -> None:
    asked: list[Point] = []
    axes = [Axis(1000, is_monotone=True)]
    found = first_fitting(axes, lambda p: asked.append(p) or p[0] >= 777)
    assert found == (777,)
    assert len(asked) <= most_questions(axes) <= 14
