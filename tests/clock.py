"""Limits of time that hold on a slow machine as well: what hangs is found, what is slow is not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_COUNT = 2_000_000
_NOMINAL_S = 0.1
"""Seconds that an ordinary machine (3 GHz, Python 3.11) takes to add up so many numbers."""
_SLACK = 2.0
"""A machine slows down and recovers within a second, where others have work on it too."""


def slowness() -> float:
    """Measure how many times as long as on an ordinary machine things take now, at least 1."""
    started = time.process_time()
    total = 0
    for each in range(_COUNT):
        total += each
    return max(1.0, (time.process_time() - started) / _NOMINAL_S)


def cpu_s() -> float:
    """Return the processor time that this process and its ended children have used, in seconds.

    It is right to a hundredth.
    """
    return sum(os.times()[:4])


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if what is done inside takes longer.

    Args:
        seconds: Of processor time on an ordinary machine. How slow this one is, is measured where
            it takes longer, at once, as that changes from one second to the next.
    """
    before = cpu_s()
    yield
    taken = cpu_s() - before
    if taken > seconds:
        most = seconds * slowness() * _SLACK
        assert taken <= most, f"took {taken:.2f} s of processor time; at most {most:.2f} s here"


def calls(do: Callable[[], object]) -> int:
    """Count the calls of functions while something is done: its work, the same on any machine."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        do()
    finally:
        sys.setprofile(before)
    return count
