"""PEFT's shortening of long target lists: the suffixes that still tell targets from the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lorascope.core.errors import SpecificationError
from lorascope.matching.names import EntryList, suffixes

SHORTENED_FROM = 20
"""Entries from which PEFT shortens a list.

Source: peft 0.21.2, `MIN_TARGET_MODULES_FOR_OPTIMIZATION` in `utils/constants.py`.
"""


def shortened(entries: frozenset[str], module_names: Iterable[str]) -> frozenset[str]:
    """Return the list that PEFT goes on with, the same one if it is short or got no shorter.

    Source: peft 0.21.2, `inject_adapter` and `_find_minimal_target_modules` in
    `tuners/tuners_utils.py`.

    Args:
        entries: `target_modules` as a set.
        module_names: Every name of `named_modules()`, the root's empty one too.

    Raises:
        SpecificationError: The list is long and holds an empty name, which PEFT refuses.
    """
    if len(entries) < SHORTENED_FROM:
        return entries
    if "" in entries:
        raise SpecificationError(
            "target_modules holds an empty name, which PEFT refuses in a list of "
            f"{SHORTENED_FROM} or more ('target_modules should not contain an empty string').",
            "Remove it.",
        )
    known = EntryList(entries)
    others = [name for name in module_names if known.first_naming(name) is None]
    minimal = minimal_suffixes(entries, others)
    return minimal if len(minimal) < len(entries) else entries


def minimal_suffixes(targets: Collection[str], others: Iterable[str]) -> frozenset[str]:
    """Return the shortest suffixes that name all `targets` and none of `others`."""
    taken = {suffix for name in others for suffix in suffixes(name)}
    needed: set[str] = set()
    for endings in sorted(list(suffixes(name)) for name in set(targets)):
        covered = any(suffix in needed for suffix in endings[:-1])
        for suffix in endings:
            if suffix in needed or suffix in taken:
                continue
            if not covered:
                needed.add(suffix)
                break
    return frozenset(needed) or frozenset(targets)
