"""Change entries inside the text of a list or mapping, and leave the rest as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lorascope.formats.edit_values import Places
from lorascope.formats.node import Syntax

AFTER_DASH = r"[ \t]*-[ \t]+"
"""Regular expression of what stands before an entry of a YAML list on its line."""
INDENTED = r"[ \t]*"
"""Of what stands before a key."""


@dataclass(frozen=True, slots=True)
class Change:
    """Text that takes the place of other text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a list, or one pair of a mapping."""

    start: int
    end: int
    value: Any
    """Of a pair the key."""
    written: Callable[[Any], str]
    """Writes another value as this one is written."""


class UnfixableError(Exception):
    """The text is written in a way that is not changed automatically; the error says which."""


def between_brackets(
    text: str, parts: Sequence[Part], places: Places, syntax: Syntax
) -> list[Change]:
    """Return the changes of what stands in brackets, with commas between. Something stays."""
    changes: list[Change] = []
    has_kept = False
    for index, (part, values) in enumerate(zip(parts, places, strict=True)):
        if values:
            has_kept = True
            if values != (part.value,):
                separator = _separator(text, part)
                changes.append(Change(part.start, part.end, _written(part, values, separator)))
        elif syntax is Syntax.YAML and (line := _own_line(text, part)) is not None:
            changes.append(Change(*line, ""))
        else:
            start, end = (
                (parts[index - 1].end, part.end)
                if has_kept
                else (
                    part.start,
                    parts[index + 1].start,
                )
            )
            if syntax is Syntax.YAML and "#" in text[start : part.start] + text[part.end : end]:
                raise UnfixableError("a comment stands inside its list")
            changes.append(Change(start, end, ""))
    return changes


def _written(part: Part, values: Sequence[Any], separator: str) -> str:
    return separator.join(part.written(value) for value in values)


def _separator(text: str, part: Part) -> str:
    before = text[line_start(text, part.start) : part.start]
    return ", " if before.strip() else f",{line_break(text, part.start)}{before}"


def _own_line(text: str, part: Part) -> tuple[int, int] | None:
    """Return the whole line of an entry that shares it with nothing but a comma and a comment."""
    start, end = line_start(text, part.start), line_end(text, part.end)
    after = text[part.end : end]
    if text[start : part.start].strip() or not re.fullmatch(r"\s*,?\s*(?:#.*)?", after):
        return None
    return start, after_break(text, end)


def on_lines(text: str, parts: Sequence[Part], places: Places, before: str) -> list[Change]:
    """Return the changes of what stands on lines of its own.

    Args:
        text: Of the file.
        parts: One a line.
        places: What stands in place of each.
        before: Regular expression of what stands before each on its line.

    Raises:
        UnfixableError: A line holds something else as well.
    """
    changes: list[Change] = []
    for part, values in zip(parts, places, strict=True):
        if values == (part.value,):
            continue
        start, end = line_start(text, part.start), line_end(text, part.end)
        prefix = text[start : part.start]
        if not re.fullmatch(before, prefix) or part.start == part.end:
            raise UnfixableError("its entries do not each stand on a line of their own")
        if not values:
            changes.append(Change(start, after_break(text, end), ""))
            continue
        if values[0] != part.value:
            changes.append(Change(part.start, part.end, part.written(values[0])))
        newline = line_break(text, part.end)
        added = "".join(f"{newline}{prefix}{part.written(value)}" for value in values[1:])
        if added:
            changes.append(Change(end, end, added))
    return changes


def line_start(text: str, offset: int) -> int:
    """Return where the line of an offset begins."""
    return text.rfind("\n", 0, offset) + 1


def line_end(text: str, offset: int) -> int:
    """Return where the line of an offset ends, before its line break."""
    end = text.find("\n", offset)
    if end < 0:
        return len(text)
    return end - 1 if end > offset and text[end - 1] == "\r" else end


def line_break(text: str, offset: int) -> str:
    """Return how lines end around an offset."""
    end = text.find("\n", offset)
    end = text.rfind("\n", 0, offset) if end < 0 else end
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def after_break(text: str, end: int) -> int:
    """Return the offset after the line break that stands at an offset, if one does."""
    if text.startswith("\r\n", end):
        return end + 2
    return end + 1 if text.startswith("\n", end) else end


def changed(text: str, changes: Sequence[Change]) -> str:
    """Make all changes at once; removals may overlap.

    Raises:
        UnfixableError: Others overlap.
    """
    parts: list[str] = []
    at = 0
    for change in sorted(changes, key=lambda each: (each.start, each.end)):
        if change.start < at and (change.text or parts[-1]):
            raise UnfixableError("its entries overlap")
        parts += [text[at : change.start], change.text]
        at = max(at, change.end)
    return "".join((*parts, text[at:]))
