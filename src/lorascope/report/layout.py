"""Lines of styled text laid out for a width. Nothing is ever cut off.

A table that fits is one line a row. One that does not ends the first line with its name column
and puts the rest below it, in columns or, narrower still, as labelled items one after another.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from lorascope.report.lines import Line, Span, clean, indented, joined, line, without_start

UNLIMITED = 1_000_000
"""Width of output that nobody sees in a window: a pipe or a file."""
_GAP = "  "
_INDENT = "    "
"""Of what stands below a name."""


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


def heading(text: str) -> Line:
    """Make a section's title."""
    return line(text, "bold")


def paragraph(
    text: str, width: int, *, indent: int = 0, hanging: int | None = None, style: str = ""
) -> list[Line]:
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
    return [Line((Span(each, style),)) for each in wrapped]


def bullet(text: str, width: int, style: str = "") -> list[Line]:
    """Wrap text as an item of a list."""
    return paragraph(f"- {text}", width, indent=2, hanging=4, style=style)


def fields(pairs: Iterable[tuple[str, str]], width: int) -> list[Line]:
    """Lay out labelled values, one a line, values lined up and wrapped under themselves."""
    kept = [(label, value) for label, value in pairs if value]
    column = max((len(label) for label, _ in kept), default=0) + 2 + len(_GAP)
    lines: list[Line] = []
    for label, value in kept:
        wrapped = paragraph(value, max(width - column, 20))
        for number, each in enumerate(wrapped):
            lead = f"  {label}" if number == 0 else ""
            lines.append(Line((Span(lead.ljust(column), "dim"), *each.spans)))
    return lines


def table(
    columns: Sequence[Column], rows: Sequence[Row | Heading], width: int, name_column: int = 0
) -> list[Line]:
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


def fits(columns: Sequence[Column], rows: Sequence[Row | Heading], width: int) -> bool:
    """Whether a table of these rows has one line a row."""
    return _widest(rows, _natural_widths(columns, rows)) <= width


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


def _cell(text: str, column: Column, width: int, style: str = "") -> Line:
    pad = " " * (width - cell_len(text))
    padded = pad + text if column.right else text + pad
    return Line((Span(padded, f"{column.style} {style}".strip()),))


def _joined(cells: Iterable[Line], indent: str = "") -> Line:
    return indented(joined(cells, _GAP), indent)


def _title_line(columns: Sequence[Column], widths: Sequence[int], indent: str = "") -> list[Line]:
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
) -> list[Line]:
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
) -> list[Line]:
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
            start = _cell(name, columns[name_column], free, row.style)
            rest = without_start(second, free - len(_INDENT))
            lines.append(Line((*start.spans, *rest.spans)))
            continue
        lines += _lead_lines(row, columns, widths, width, name_column)
        lines.append(indented(second, _INDENT))
    return lines


def _labelled(
    columns: Sequence[Column],
    rows: Sequence[Row | Heading],
    widths: Sequence[int],
    width: int,
    name_column: int,
) -> list[Line]:
    """Put everything up to the name on the first line, the rest as labelled items below."""
    tail = slice(name_column + 1, None)
    lines: list[Line] = []
    for row in rows:
        if isinstance(row, Heading):
            lines += _heading_lines(row, width)
            continue
        lead = _lead_lines(row, columns, widths, width, name_column)
        items = [
            _item(column, text, row.style)
            for column, text in zip(columns[tail], row.cells[tail], strict=True)
            if text.strip()
        ]
        whole = _joined([*lead, *items])
        is_sum = not any(row.cells[:name_column]) and name_column > 0
        lines += [whole] if is_sum and whole.width <= width else [*lead, *_flow(items, width)]
    return lines


def _cells(row: Row, columns: Sequence[Column], widths: Sequence[int]) -> list[Line]:
    return [
        _cell(text, column, width, row.style)
        for text, column, width in zip(row.cells, columns, widths, strict=True)
    ]


def _heading_lines(row: Heading, width: int) -> list[Line]:
    return paragraph(row.text, width, hanging=2, style=row.style) or [Line()]


def _lead_lines(
    row: Row, columns: Sequence[Column], widths: Sequence[int], width: int, name_column: int
) -> list[Line]:
    """Lay out the cells up to the name on one line, or with the name below them."""
    head = slice(0, name_column + 1)
    if not any(row.cells[:name_column]):
        return [_joined([_cell(row.cells[name_column], columns[name_column], 0, row.style)])]
    whole = _joined(_cells(Row(row.cells[head], row.style), columns[head], widths[head]))
    if whole.width <= width:
        return [whole]
    before = slice(0, name_column)
    return [
        _joined(_cells(Row(row.cells[before], row.style), columns[before], widths[before])),
        _joined([_cell(row.cells[name_column], columns[name_column], 0, row.style)], _INDENT),
    ]


def _item(column: Column, value: str, style: str) -> Line:
    label = f"{column.title} " if column.label and column.title else ""
    return Line((Span(label, "dim"), Span(value, f"{column.style} {style}".strip())))


def _flow(items: Sequence[Line], width: int) -> list[Line]:
    lines: list[Line] = []
    taken: list[Line] = []
    for item in items:
        if item.width + len(_INDENT) > width:
            lines += [_joined(taken, _INDENT)] if taken else []
            lines += _wrapped(item, width)
            taken = []
            continue
        if taken and _line_width([each.width for each in (*taken, item)]) + 4 > width:
            lines.append(_joined(taken, _INDENT))
            taken = []
        taken.append(item)
    if taken:
        lines.append(_joined(taken, _INDENT))
    return lines


def _wrapped(item: Line, width: int) -> list[Line]:
    """Wrap a labelled item; its label stays as it is in one that fits."""
    indent, style = len(_INDENT), item.spans[-1].style
    lines = paragraph(item.plain, width, indent=indent, hanging=indent + 2, style=style)
    label = item.spans[0]
    start = f"{_INDENT}{label.text}"
    first = lines[0].plain if lines else ""
    if len(item.spans) > 1 and label.text and first.startswith(start):
        rest = Span(first.removeprefix(start), style)
        lines[0] = Line((Span(_INDENT), label, rest))
    return lines
