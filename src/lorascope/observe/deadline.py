"""When a run of a model is cut."""

from __future__ import annotations

import time

WAITING = 4.0
"""Times the computing time that may pass on the clock: a busy machine must not cut a run short,
and a forward that sleeps or waits must not run for ever."""


class Deadline:
    """A time after which a run is cut, by this thread's computing time and by the clock."""

    def __init__(self, seconds: float) -> None:
        """Begin now, with so many seconds of computing time."""
        self._computing = time.thread_time() + seconds
        self._clock = time.monotonic() + WAITING * seconds

    @property
    def left(self) -> float:
        """Seconds of computing time that are left; 0 or less if none is."""
        waiting = (self._clock - time.monotonic()) / WAITING
        return min(self._computing - time.thread_time(), waiting)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.left <= 0
