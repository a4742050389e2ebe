"""The line of a file that a finding is about."""

from __future__ import annotations

from lorascope.core.recipe import Spot
from lorascope.report.lines import Line, Span, clean

_LONGEST = 200
"""Characters of a line that are shown at most, around what is meant."""


def excerpt(text: str, spot: Spot, width: int) -> list[Line]:
    """Return the line that holds the beginning of `spot`, with a mark under what is meant.

    Args:
        text: The whole file.
        spot: What is meant.
        width: Characters a line.
    """
    start = text.rfind("\n", 0, spot.start) + 1
    end = text.find("\n", spot.start)
    whole = text[start : len(text) if end < 0 else end].rstrip("\r")
    number = f"{spot.line} "
    room = max(min(width, _LONGEST) - len(number) - 8, 20)
    column = spot.start - start
    first = max(0, min(column - room // 3, len(whole) - room))
    shown = whole[first : first + room]
    before = clean(shown[: column - first].replace("\t", " "))
    meant = clean(shown[column - first : spot.end - start - first].replace("\t", " "))
    after = clean(shown[max(spot.end - start - first, 0) :].replace("\t", " "))
    gutter = " " * len(number)
    return [
        Line((Span(f"    {number}", "dim"), Span(f"│ {before}{meant}{after}"))),
        Line(
            (Span(f"    {gutter}│ ", "dim"), Span(f"{' ' * len(before)}{'^' * len(meant)}", "red"))
        ),
    ]
