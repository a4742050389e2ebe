"""A form in which classes take one kind of input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lorascope.observe.inputs.facts import Facts


@dataclass(frozen=True, slots=True)
class Form:
    """One form of inputs and what tells the classes that may take it."""

    takes: tuple[str, ...]
    """Arguments that forward must have."""
    make: Callable[[Facts], dict[str, Any]]
    """Makes the arguments."""
    states: tuple[str, ...] = ()
    """Fields that the config must state besides."""

    def fits(self, facts: Facts) -> bool:
        """Return whether the model may take this form."""
        stated = all(facts.setting(name) is not None for name in self.states)
        return facts.takes(*self.takes) and stated
