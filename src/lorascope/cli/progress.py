"""A sign of life on a terminal while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lorascope.core.errors import printable

_PATIENCE = 1.0
"""Seconds before anything is shown."""
_FRESHNESS = 0.1
"""Seconds after which a changed text is shown at the latest."""


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with `what` on standard error once the body has run for a second.

    The body is handed a function that replaces the text. Nothing is ever shown where standard
    error is no terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    done = threading.Event()
    shown = [printable(what)]

    def say(text: str) -> None:
        shown[0] = printable(text)

    watcher = threading.Thread(target=_watch, args=(shown, done), daemon=True)
    watcher.start()
    try:
        yield say
    finally:
        done.set()
        watcher.join()


def _watch(shown: list[str], done: threading.Event) -> None:
    """Show the one text of `shown`, whatever it is at the time, until it is done."""
    if done.wait(_PATIENCE):
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(f"{shown[0]} …")) as status:
        while not done.wait(_FRESHNESS):
            status.update(Text(f"{shown[0]} …"))
