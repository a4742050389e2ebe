"""Lines of styled text laid out for a width. Nothing is ever cut off.

A table that fits is one line a row. One that does not ends the first line with its name column
and puts the rest below it, in columns or, narrower still, as labelled items one after another.
All text is plain (`rich.text.Text`, never markup), with control characters escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from lorascope.core.errors import printable

UNLIMITED = 1_000_000
"""Width of output that nobody sees in a window: a pipe or a file."""
_GAP = "  "
_INDENT = "    "
"""Of what stands below a name."""
_LONGEST = 20_000
"""Longest text kept of one cell or paragraph, so that no name can flood a terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Whether numbers line up at the right."""
    style: str = ""
    """A rich style."""
    label: bool = True
    """Whether the title is repeated before the value in the narrowest form."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: a cell a column; an empty cell says nothing."""

    cells: tuple[str, ...]
    style: str = ""
    """A rich style that stands before those of the columns."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A line of its own between the rows of a table."""

    text: str
    style: str = "bold"


def clean(text: object) -> str:
    """Escape what must not reach a terminal, without cutting any real name."""
    return printable(text, limit=_LONGEST)


def line(text: str, style: str = "", indent: int = 0) -> Text:
    """Make one line, never wrapped."""
    return Text(" " * indent + clean(text), style=style, end="")


def heading(text: str) -> Text:
    """Make a section's title."""
    return line(text, "bold")


def paragraph(
    text: str, width: int, *, indent: int = 0, hanging: int | None = None, style: str = ""
) -> list[Text]:
    """Wrap text at spaces; the first line is indented by `indent`, the others by `hanging`."""
    pad = " " * indent
    wrapped = textwrap.wrap(
        clean(text),
        width=max(width, indent + 20),
        initial_indent=pad,
        subsequent_indent=pad if hanging is None else " " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [Text(each, style=style, end="") for each in wrapped]


def bullet(text: str, width: int, style: str = "") -> list[Text]:
    """Wrap text as an item of a list."""
    return paragraph(f"- {text}", width, indent=2, hanging=4, style=style)


def fields(pairs: Iterable[tuple[str, str]], width: int) -> list[Text]:
    """Lay out labelled values, one a line, values lined up and wrapped under themselves."""
    kept = [(label, value) for label, value in pairs if value]
    column = max((len(label) for label, _ in kept), default=0) + 2 + len(_GAP)
    lines: list[Text] = []
    for label, value in kept:
        wrapped = paragraph(value, max(width - column, 20))
        for number, each in enumerate(wrapped or [Text(end="")]):
            lead = f"  {label}" if number == 0 else ""
            lines.append(Text.assemble((lead.ljust(column), "dim"), each, end=""))
    return lines


def table(
    columns: Sequence[Column], rows: Sequence[Row | Heading], width: int, name_column: int = 0
) -> list[Text]:
    """Lay out a table in the widest form that fits.

    Args:
        columns: What each cell of a row is.
        rows: Rows and the headings between them, in order.
        width: Characters a line; a line is longer only if a single value is.
        name_column: The last column of the first line where the width is short.
    """
    cleaned = [
        row if isinstance(row, Heading) else Row(tuple(map(clean, row.cells)), row.style)
        for row in rows
    ]
    widths = _natural_widths(columns, cleaned)
    if _widest(cleaned, widths) <= width:
        return _in_one_line(columns, cleaned, widths, width)
    tail = slice(name_column + 1, None)
    if len(_INDENT) + _widest(cleaned, widths, tail) <= width:
        return _in_two_lines(columns, cleaned, widths, width, name_column)
    return _labelled(columns, cleaned, widths, width, name_column)


def _natural_widths(columns: Sequence[Column], rows: Sequence[Row | Heading]) -> list[int]:
    widths = [cell_len(column.title) for column in columns]
    for row in rows:
        if isinstance(row, Row):
            widths = [max(w, cell_len(c)) for w, c in zip(widths, row.cells, strict=True)]
    return widths


def _widest(rows: Sequence[Row | Heading], widths: Sequence[int], part: slice = slice(None)) -> int:
    """Return the length of the longest line, columns lined up and empty ends left away."""
    used = (
        max((n for n, cell in enumerate(row.cells[part], 1) if cell), default=0)
        for row in rows
        if isinstance(row, Row)
    )
    return max((_line_width(widths[part][:count]) for count in used), default=0)


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _cell(text: str, column: Column, width: int, style: str = "") -> Text:
    pad = " " * (width - cell_len(text))
    return Text(pad + text if column.right else text + pad, style=f"{column.style} {style}".strip())


def _joined(cells: Iterable[Text], indent: str = "") -> Text:
    joined = Text(indent, end="") + Text(_GAP).join(cells)
    joined.rstrip()
    joined.end = ""
    return joined


def _title_line(columns: Sequence[Column], widths: Sequence[int], indent: str = "") -> list[Text]:
    if not any(column.title for column in columns):
        return []
    plain = (Column(column.title, column.right) for column in columns)
    titles = [
        _cell(column.title, column, width, "dim")
        for column, width in zip(plain, widths, strict=True)
    ]
    return [_joined(titles, indent)]


def _in_one_line(
    columns: Sequence[Column], rows: Sequence[Row | Heading], widths: Sequence[int], width: int
) -> list[Text]:
    lines = _title_line(columns, widths)
    for row in rows:
        if isinstance(row, Heading):
            lines += _heading_lines(row, width)
            continue
        lines.append(_joined(_cells(row, columns, widths)))
    return lines


def _in_two_lines(
    columns: Sequence[Column],
    rows: Sequence[Row | Heading],
    widths: Sequence[int],
    width: int,
    name_column: int,
) -> list[Text]:
    """Put everything up to the name on the first line, the rest in columns on the second."""
    tail = slice(name_column + 1, None)
    lines = _title_line(columns[tail], widths[tail], _INDENT)
    for row in rows:
        if isinstance(row, Heading):
            lines += _heading_lines(row, width)
            continue
        second = _joined(_cells(Row(row.cells[tail], row.style), columns[tail], widths[tail]))
        free = len(second.plain) - len(second.plain.lstrip()) + len(_INDENT)
        name = row.cells[name_column]
        if not any(row.cells[:name_column]) and cell_len(name) + len(_GAP) <= free:
            merged = _cell(name, columns[name_column], free, row.style)
            merged.append_text(second[free - len(_INDENT) :])
            merged.end = ""
            lines.append(merged)
            continue
        lines += _lead_lines(row, columns, widths, width, name_column)
        lines.append(Text(_INDENT, end="").append_text(second))
    return lines


def _labelled(
    columns: Sequence[Column],
    rows: Sequence[Row | Heading],
    widths: Sequence[int],
    width: int,
    name_column: int,
) -> list[Text]:
    """Put everything up to the name on the first line, the rest as labelled items below."""
    tail = slice(name_column + 1, None)
    lines: list[Text] = []
    for row in rows:
        if isinstance(row, Heading):
            lines += _heading_lines(row, width)
            continue
        lines += _lead_lines(row, columns, widths, width, name_column)
        items = [
            _item(column, text, row.style)
            for column, text in zip(columns[tail], row.cells[tail], strict=True)
            if text.strip()
        ]
        lines += _flow(items, width)
    return lines


def _cells(row: Row, columns: Sequence[Column], widths: Sequence[int]) -> list[Text]:
    return [
        _cell(text, column, width, row.style)
        for text, column, width in zip(row.cells, columns, widths, strict=True)
    ]


def _heading_lines(row: Heading, width: int) -> list[Text]:
    return paragraph(row.text, width, hanging=2, style=row.style) or [Text(end="")]


def _lead_lines(
    row: Row, columns: Sequence[Column], widths: Sequence[int], width: int, name_column: int
) -> list[Text]:
    """Lay out the cells up to the name on one line, or with the name below them."""
    head = slice(0, name_column + 1)
    if not any(row.cells[:name_column]):
        return [_joined([_cell(row.cells[name_column], columns[name_column], 0, row.style)])]
    whole = _joined(_cells(Row(row.cells[head], row.style), columns[head], widths[head]))
    if whole.cell_len <= width:
        return [whole]
    before = slice(0, name_column)
    return [
        _joined(_cells(Row(row.cells[before], row.style), columns[before], widths[before])),
        _joined([_cell(row.cells[name_column], columns[name_column], 0, row.style)], _INDENT),
    ]


def _item(column: Column, value: str, style: str) -> Text:
    label = f"{column.title} " if column.label and column.title else ""
    return Text.assemble((label, "dim"), (value, f"{column.style} {style}".strip()))


def _flow(items: Sequence[Text], width: int) -> list[Text]:
    lines: list[Text] = []
    taken: list[Text] = []
    for item in items:
        if taken and _line_width([each.cell_len for each in (*taken, item)]) + 4 > width:
            lines.append(_joined(taken, _INDENT))
            taken = []
        taken.append(item)
    if taken:
        lines.append(_joined(taken, _INDENT))
    return lines
