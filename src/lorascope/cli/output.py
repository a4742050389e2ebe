"""Everything that is printed to standard output goes through here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from lorascope.core.errors import OutputError, printable

TYPE_CHECKING = False  # as `typing` has it, which takes a while to import
if TYPE_CHECKING:
    from typing import Any

    from lorascope.report.lines import Line

_NARROWEST = 20
"""Characters a line below which nothing could be laid out."""
_WITHOUT_UNICODE = str.maketrans(
    {
        "→": "->",
        "×": "x",
        "–": "-",
        "…": "...",
        "·": "-",
        "✓": "+",
        "√": "sqrt ",
        "≤": "<=",
        "−": "-",
        "●": "o",
        "│": "|",
        "└": "+",
        "─": "-",
    }
)


def text_width(asked: int | None) -> int:
    """Return the width to lay text out for.

    That is: as asked, else COLUMNS, else the terminal's; unlimited in a pipe.
    """
    if asked is not None:
        return asked
    stated = stated_columns()
    if stated is not None:
        return max(stated, _NARROWEST)
    if sys.stdout is not None and sys.stdout.isatty():
        import shutil

        return max(shutil.get_terminal_size().columns, _NARROWEST)
    from lorascope.report.layout import UNLIMITED

    return UNLIMITED


def stated_columns() -> int | None:
    """Return the width that the variable COLUMNS states, at most a million; None if it is unset."""
    stated = os.environ.get("COLUMNS", "")
    return int(stated[:6]) or None if stated.isascii() and stated.isdigit() else None


def show(lines: Iterable[Line]) -> None:
    """Print lines, with colour where the terminal and NO_COLOR, FORCE_COLOR allow it."""
    if _is_plain():
        write("".join(f"{line.plain}\n" for line in lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False, soft_wrap=True)
    with console.capture() as captured:
        for line in lines:
            console.print(Text.assemble(*((span.text, span.style) for span in line.spans)))
    write(captured.get())


def _is_plain() -> bool:
    """Whether rich would print no style either; it takes a while to import."""
    forced = os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE")
    return not forced and (sys.stdout is None or not sys.stdout.isatty())


def write_json(value: Mapping[str, Any]) -> None:
    """Print a JSON value, in ASCII and so free of control characters."""
    import json

    write(json.dumps(value, indent=2) + "\n")


def write(text: str) -> None:
    """Print text as it is, or as near as the output's encoding can have it.

    Raises:
        BrokenPipeError: The reader has gone; there is nobody left to tell.
        OutputError: The output cannot be written, for example because the disk is full.
    """
    stream = sys.stdout
    if stream is None:
        raise OutputError("Standard output is closed.", "Give the command an output to write to.")
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = text.translate(_WITHOUT_UNICODE)
        text = plain.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"Standard output cannot be written: {error.strerror or error}.",
            "Free some space, or write somewhere else.",
        ) from error


def tell(message: str) -> None:
    """Print one line about what was done to standard error, where it disturbs no pipe."""
    if sys.stderr is not None:
        encoding = sys.stderr.encoding or "utf-8"
        line = printable(message, limit=5000).encode(encoding, "backslashreplace").decode(encoding)
        print(line, file=sys.stderr)
