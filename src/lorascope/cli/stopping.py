"""Stop a command that writes so that it leaves nothing behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Let a request to end raise `KeyboardInterrupt`, so that what is unfinished is removed.

    Handlers of a program around this one, and signals that it ignores, stay as they are.
    """
    known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    is_main = threading.current_thread() is threading.main_thread()
    changed = [each for each in known if is_main and signal.getsignal(each) is signal.SIG_DFL]
    for each in changed:
        signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each in changed:
            signal.signal(each, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
