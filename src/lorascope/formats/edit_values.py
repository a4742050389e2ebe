"""What a list holds after an edit: for each of its entries, what stands in its place."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from typing import Any

from lorascope.core.recipe import Edit

Places = list[tuple[Any, ...]]
"""For each entry of the old list: the values in its place, without any if it goes."""

_LONGEST_COMPARED = 1000
"""Entries up to which two lists are compared; comparing takes time quadratic in them."""


def places_after(old: Sequence[Any], edits: Sequence[Edit]) -> Places:
    """Return what stands in place of each entry after edits of single entries.

    An entry that stands there twice is replaced once. A new value that stands there already is not
    added again.

    Raises:
        ValueError: An entry is not in the list; the error holds it.
    """
    places: Places = [(value,) for value in old]
    edited: set[int] = set()
    for edit in edits:
        at = [index for index, value in enumerate(old) if str(value) == edit.entry]
        if not at:
            raise ValueError(edit.entry)
        edited.update(at)
        for index in at:
            places[index] = ()
        places[at[0]] = tuple(edit.value)
    seen = {str(old[index]) for index in range(len(old)) if index not in edited}
    for index in sorted(edited):
        places[index] = _unseen(places[index], seen)
    return places


def _unseen(values: Sequence[Any], seen: set[str]) -> tuple[Any, ...]:
    kept = []
    for value in values:
        if str(value) not in seen:
            seen.add(str(value))
            kept.append(value)
    return tuple(kept)


def places_towards(old: Sequence[Any], new: Sequence[Any]) -> Places:
    """Return what stands in place of each entry so that one list becomes another.

    Entries of both stay where they are, as far as their order allows. `old` has entries.
    """
    if max(len(old), len(new)) > _LONGEST_COMPARED:
        return [tuple(new), *(() for _ in old[1:])]
    places: Places = [() for _ in old]
    matcher = SequenceMatcher(None, _hashable(old), _hashable(new), autojunk=False)
    before: tuple[Any, ...] = ()
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        values = tuple(new[new_start:new_end])
        if kind == "equal":
            places[start:end] = [(value,) for value in values]
            places[start] = (*before, *places[start])
            before = ()
        elif start == 0 and kind == "insert":
            before = values
        else:
            first = start - 1 if kind == "insert" else start
            places[first] = (*places[first], *values)
    return places


def _hashable(values: Sequence[Any]) -> list[Hashable]:
    return [(type(value).__name__, str(value)) for value in values]
