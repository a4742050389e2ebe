"""What a piece of code may do with modules: call them, read their weights, both or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag

Path = tuple[str, ...]
"""Attribute names from `self` on; `ANY` where only a run knows which child is meant."""

ANY = "*"


class Deed(Flag):
    """What one way through the code did with one module."""

    NOTHING = 0
    READ = 1
    """Its weight was handed to a computation."""
    CALLED = 2
    """It was called, or handed on to code that may call it."""


Ends = frozenset[Deed]
"""What is possible: one entry for each way through the code."""

Effects = Mapping[Path, Ends]
"""Module → what is possible; a module left out is neither read nor called."""

_UNTOUCHED: Ends = frozenset({Deed.NOTHING})

NO_EFFECT: Effects = {}


def one(path: Path, deed: Deed) -> Effects:
    """Return the effect of one expression."""
    return {path: frozenset({deed})}


def then(first: Effects, second: Effects) -> Effects:
    """Return the effect of doing both, one after the other."""
    if not first or not second:
        return first or second
    return {
        path: frozenset(
            before | after
            for before in first.get(path, _UNTOUCHED)
            for after in second.get(path, _UNTOUCHED)
        )
        for path in (*first, *(path for path in second if path not in first))
    }


def either(first: Effects, second: Effects) -> Effects:
    """Return the effect of doing one of the two."""
    return {
        path: first.get(path, _UNTOUCHED) | second.get(path, _UNTOUCHED)
        for path in (*first, *(path for path in second if path not in first))
    }


@dataclass(frozen=True, slots=True)
class Flow:
    """The effects of statements by how they are left; None where that way is impossible."""

    onward: Effects | None = None
    """The next statement follows."""
    returned: Effects | None = None
    """The function has returned."""
    loop_left: Effects | None = None
    """By `break` or `continue`."""

    def after(self, first: Effects) -> Flow:
        """Return the flow of doing `first` and then this."""
        return Flow(*(None if way is None else then(first, way) for way in self._ways()))

    def before(self, last: Effects) -> Flow:
        """Return the flow of doing this and then `last`, however it is left."""
        return Flow(*(None if way is None else then(way, last) for way in self._ways()))

    def or_else(self, other: Flow) -> Flow:
        """Return the flow of one of the two."""
        return Flow(*(_either(a, b) for a, b in zip(self._ways(), other._ways(), strict=True)))

    @property
    def whole(self) -> Effects:
        """The effect of all ways together."""
        return _either(_either(self.onward, self.returned), self.loop_left) or NO_EFFECT

    def _ways(self) -> tuple[Effects | None, Effects | None, Effects | None]:
        return self.onward, self.returned, self.loop_left


def _either(first: Effects | None, second: Effects | None) -> Effects | None:
    if first is None or second is None:
        return second if first is None else first
    return either(first, second)
