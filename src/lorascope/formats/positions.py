"""Offsets of a text as lines and columns."""

from __future__ import annotations

from bisect import bisect_left

from lorascope.core.recipe import Spot


class Positions:
    """Where the lines of one text begin."""

    def __init__(self, text: str) -> None:
        self._breaks = [at for at, char in enumerate(text) if char == "\n"]

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return both from 1 on; a line ends with its line feed."""
        line = bisect_left(self._breaks, offset)
        start = self._breaks[line - 1] + 1 if line else 0
        return line + 1, offset - start + 1

    def spot(self, start: int, end: int) -> Spot:
        """Return the place from `start` to before `end`, both offsets in characters."""
        return Spot(start, end, *self.line_and_column(start))
