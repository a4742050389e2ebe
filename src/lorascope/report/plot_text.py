"""A small plot in plain characters: presets by parameters against peak memory.

Plotting libraries for terminals cut labels at the edge or print them over one another, and each
has its own idea of width and colour; seven points need no more than what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import log

from lorascope.core.numbers import short
from lorascope.report.byte_units import byte_text
from lorascope.report.layout import paragraph
from lorascope.report.lines import Line, Span, clean, line
from lorascope.report.plot_points import PlotPoint

_HEIGHT = 11
_WIDEST = 90
"""Characters a line; a wider plot tells no more."""
_NARROWEST = 24
"""Characters between the axis and the right edge below which no plot is drawn."""
_MARK = "●"


def plot_text(points: Sequence[PlotPoint], width: int) -> list[Line]:
    """Draw the points, parameters to the right on a logarithmic scale, peak memory upwards.

    A name stands beside its point, or above or below where there is no room; one that finds none
    is told below the plot. Returns nothing where the width is too short or there is one point.
    """
    if len(points) < 2:
        return []
    low, high = _bounds([point.peak_bytes for point in points])
    labels = _y_labels(low, high)
    margin = max(map(len, labels))
    columns = min(width, _WIDEST) - margin - 2
    if columns < _NARROWEST:
        return []
    grid = _Grid(columns)
    placed = _placed(points, columns)
    for row, column, _ in placed:
        grid.rows[row][column] = _MARK
    for row, column, names in placed:
        grid.name(row, column, ", ".join(names))
    lines = [line("peak".rjust(margin), "dim")]
    for label, cells in zip(labels, grid.rows, strict=True):
        axis = Span(f"{label.rjust(margin)} │", "dim")
        lines.append(Line((axis, Span("".join(cells).rstrip(), "cyan"))))
    lines += _x_axis(points, margin, columns)
    if grid.without_room:
        lines += paragraph(f"Without room for a name: {'; '.join(grid.without_room)}", width)
    return lines


@dataclass(slots=True)
class _Grid:
    """Characters of the plot's inside, row by row."""

    columns: int
    rows: list[list[str]] = field(init=False)
    without_room: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = [[" "] * self.columns for _ in range(_HEIGHT)]

    def name(self, row: int, column: int, name: str) -> None:
        """Write a name where it is free: right, left, above or below its point."""
        name = clean(name)
        for at_row, start in self._places(row, column, len(name)):
            if self._is_free(at_row, start, len(name)):
                self.rows[at_row][start : start + len(name)] = name
                return
        self.without_room.append(name)

    def _places(self, row: int, column: int, length: int) -> Iterator[tuple[int, int]]:
        yield row, column + 2
        yield row, column - 1 - length
        for start in (column, column - length + 1, column - length // 2):
            yield row - 1, start
            yield row + 1, start

    def _is_free(self, row: int, start: int, length: int) -> bool:
        if not (0 <= row < len(self.rows) and start >= 0 and start + length <= self.columns):
            return False
        around = self.rows[row][max(start - 1, 0) : start + length + 1]
        # A name may touch its own point's mark at neither side: a space stands between.
        return all(cell == " " for cell in around)


def _placed(points: Sequence[PlotPoint], columns: int) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return row, column and names of each point; those on one character are one."""
    low, high = _bounds([point.peak_bytes for point in points])
    left, right = _bounds([log(point.trainable_params) for point in points])
    cells: dict[tuple[int, int], tuple[str, ...]] = {}
    for point in points:
        row = round((high - point.peak_bytes) / (high - low) * (_HEIGHT - 1))
        column = round((log(point.trainable_params) - left) / (right - left) * (columns - 1))
        cells[row, column] = (*cells.get((row, column), ()), *point.names)
    return [(row, column, names) for (row, column), names in cells.items()]


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a scale, which differ even if the values do not."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _y_labels(low: float, high: float) -> list[str]:
    """Return one label a row: at the ends and in the middle, else empty."""
    labels = [""] * _HEIGHT
    for row in (0, _HEIGHT // 2, _HEIGHT - 1):
        labels[row] = byte_text(high - (high - low) * row / (_HEIGHT - 1))
    return labels


def _x_axis(points: Sequence[PlotPoint], margin: int, columns: int) -> list[Line]:
    least = short(min(point.trainable_params for point in points))
    most = short(max(point.trainable_params for point in points))
    title = "trainable parameters"
    free = columns - len(least) - len(most)
    middle = title.center(free) if free >= len(title) + 2 else " " * free
    return [
        line(" " * (margin + 1) + "└" + "─" * columns, "dim"),
        line(" " * (margin + 2) + f"{least}{middle}{most}", "dim"),
    ]
