"""Longer messages on standard error: laid out for the terminal, coloured where it shows that."""

from __future__ import annotations

import os
import sys


def tell_wrapped(message: str, label: str = "", style: str = "") -> None:
    """Print a paragraph to standard error, one line where that is no terminal.

    Args:
        message: The text.
        label: What it begins with, in colour.
        style: The label's, as rich has it.
    """
    from lorascope.cli.output import tell
    from lorascope.core.errors import printable

    width = _width()
    if width is None:
        tell(f"{label}{message}")
        return
    import textwrap

    text = printable(f"{label}{message}", limit=5000)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    if not label or not _is_coloured():
        for line in lines:
            tell(line)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)
    for number, line in enumerate(lines):
        coloured = Text(line)
        if number == 0:
            coloured.stylize(style, 0, len(label.rstrip()))
        console.print(coloured)


def _width() -> int | None:
    """Return the terminal's width, or that of COLUMNS; None for a pipe without it."""
    from lorascope.cli.output import stated_columns

    stated = stated_columns()
    if stated is not None:
        return max(stated, 20)
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    return max(os.get_terminal_size(sys.stderr.fileno()).columns, 20)


def _is_coloured() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
