"""The line of a file that a finding is about."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from lorascope.core.recipe import Spot
from lorascope.report.lines import Line, Span, clean

_LONGEST = 200
"""Columns that an excerpt takes at most, also where nothing limits the width."""
_NARROWEST = 16
"""Columns of the line that are shown at least."""
_INDENT = "    "
_CUT = "…"


def excerpt(text: str, spot: Spot, width: int) -> list[Line]:
    """Return the line that holds the beginning of `spot`, with a mark under what is meant.

    A line that is too long is cut on both sides of what is meant.

    Args:
        text: The whole file.
        spot: What is meant; of several lines, the first is marked.
        width: Columns a line.
    """
    whole, column = _line_of(text, spot.start)
    number = f"{spot.line} "
    room = max(min(width, _LONGEST) - len(f"{_INDENT}{number}│ "), _NARROWEST)
    before, meant, after = _window(whole, column, max(spot.end - spot.start, 1), room)
    gutter = " " * len(number)
    return [
        Line((Span(f"{_INDENT}{number}", "dim"), Span(f"│ {before}{meant}{after}"))),
        Line(
            (
                Span(f"{_INDENT}{gutter}│ ", "dim"),
                Span(" " * cell_len(before)),
                Span("^" * max(cell_len(meant), 1), "red"),
            )
        ),
    ]


def _line_of(text: str, offset: int) -> tuple[str, int]:
    """Return the line around an offset, without its end, and the offset within it."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    whole = text[start : len(text) if end < 0 else end].rstrip("\r")
    return whole, min(offset - start, len(whole))


def _window(whole: str, column: int, length: int, room: int) -> tuple[str, str, str]:
    """Return what stands before, in and after the meant part, in at most `room` columns."""
    ahead = _pieces(whole[column : column + room])
    behind = _pieces(whole[max(column - room, 0) : column])
    if column <= room and len(whole) - column <= room and _cells([*behind, *ahead]) <= room:
        return "".join(behind), "".join(ahead[:length]), "".join(ahead[length:])
    room -= 2 * len(_CUT)
    right = _fitting(ahead, max(room - _cells(behind), room - room // 3))
    left = _fitting(reversed(behind), room - _cells(right))[::-1]
    before = (_CUT if len(left) < column else "") + "".join(left)
    after = "".join(right[length:]) + (_CUT if column + len(right) < len(whole) else "")
    return before, "".join(right[:length]), after


def _pieces(text: str) -> list[str]:
    """Return what is shown for each character."""
    if text.isprintable():
        return list(text)
    return [" " if char == "\t" else clean(char) for char in text]


def _cells(pieces: Iterable[str]) -> int:
    text = "".join(pieces)
    return len(text) if text.isascii() else sum(map(cell_len, text))


def _fitting(pieces: Iterable[str], room: int) -> list[str]:
    """Return as many pieces from the start as fit."""
    listed = list(pieces)
    text = "".join(listed)
    if text.isascii() and len(text) == len(listed):  # one column each, as nearly always
        return listed[: max(room, 0)]
    kept = []
    for piece in listed:
        room -= cell_len(piece)
        if room < 0:
            break
        kept.append(piece)
    return kept
