"""Lines of styled text: what a report is made of before anything prints it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len

from lorascope.core.errors import printable

_LONGEST = 20_000
"""Longest text kept of one cell or paragraph, so that no name can flood a terminal."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style."""

    text: str
    style: str = ""
    """A rich style, for example `bold cyan`; empty for none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: plain text in styled pieces, never markup. Control characters are escaped."""

    spans: tuple[Span, ...] = ()

    @property
    def plain(self) -> str:
        """The text without its styles."""
        return "".join(span.text for span in self.spans)

    @property
    def width(self) -> int:
        """Characters on a terminal, where some take two."""
        return cell_len(self.plain)


def clean(text: object) -> str:
    """Escape what must not reach a terminal, without cutting any real name."""
    return printable(text, limit=_LONGEST)


def line(text: str, style: str = "", indent: int = 0) -> Line:
    """Make one line in one style."""
    return Line((Span(" " * indent + clean(text), style),))


def joined(pieces: Iterable[Line], gap: str) -> Line:
    """Put pieces after one another with a gap between them; spaces at the end are dropped."""
    spans: list[Span] = []
    for piece in pieces:
        if spans:
            spans.append(Span(gap))
        spans += piece.spans
    while spans and not spans[-1].text.rstrip():
        spans.pop()
    if spans:
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
    return Line(tuple(spans))


def indented(piece: Line, indent: str) -> Line:
    """Put an indent before a line; an empty line stays empty."""
    return Line((Span(indent), *piece.spans)) if piece.spans else piece


def without_start(piece: Line, count: int) -> Line:
    """Drop the first `count` characters of a line."""
    spans: list[Span] = []
    for span in piece.spans:
        kept = span.text[count:]
        count = max(count - len(span.text), 0)
        if kept:
            spans.append(Span(kept, span.style))
    return Line(tuple(spans))
