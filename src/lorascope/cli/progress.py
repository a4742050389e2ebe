"""A sign of life on a terminal while something takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lorascope.core.errors import printable

_PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a spinner with `what` on standard error once the body has run for a second.

    Nothing is ever shown where standard error is no terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(printable(what), done), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(what: str, done: threading.Event) -> None:
    if done.wait(_PATIENCE):
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(f"{what} …")):
        done.wait()
