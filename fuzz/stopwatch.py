"""What is noted of one input: how long its steps take, and how far it got."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from from_tests import cpu_s


@dataclass(slots=True)
class Stopwatch:
    """Notes what comes of an input, and measures its steps.

    Time is the processor's, of this process and of the children that have ended.
    """

    most_s: float = 2.0
    """Seconds that one step may take on an ordinary machine."""
    model: str = "no model"
    """What is checked against."""
    codes: frozenset[str] | None = None
    """Rules that found something; None if the input could not be read."""
    is_mended: bool = False
    """Whether its text was changed by --fix."""
    taken: dict[str, float] = field(default_factory=dict)
    """Step → its seconds, also if it was ended by an error."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        before = cpu_s()
        try:
            yield
        finally:
            self.taken[name] = self.taken.get(name, 0.0) + cpu_s() - before
