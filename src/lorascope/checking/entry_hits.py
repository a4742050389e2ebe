"""What is adapted for one entry of a list that a tool rewrites before PEFT sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats import hand
from lorascope.matching import Match
from lorascope.matching.names import EntryList

_MOST_ALONE = 64
"""Entries for which the tool is asked one by one."""
_NOTHING = "lorascope-names-nothing"
_OWN_NAMES = frozenset({Tool.MS_SWIFT, Tool.TORCHTUNE, Tool.MLX_LM})
"""Tools whose entries need not be names, or the ends of names, of the model's modules."""


def entry_hits(
    recipe: Recipe, entries: Sequence[str], match: Match, inventory: Inventory
) -> Mapping[str, tuple[str, ...]]:
    """Return for each entry the full names of what is adapted for it, of all that is adapted.

    A tool with names of its own is asked what it hands to PEFT for one entry alone, less what it
    hands over for none.

    Args:
        recipe: As written.
        entries: Its list of targets.
        match: What PEFT does with what the tool hands over for all of them.
        inventory: Of the bare model.
    """
    adapted = [target.path for target in match.targets]
    distinct = tuple(dict.fromkeys(entries))
    if recipe.tool not in _OWN_NAMES or len(distinct) > _MOST_ALONE:
        return _by_ends(distinct, adapted)
    always = _names(_handed(recipe, _NOTHING, inventory))
    hits = {}
    for entry in distinct:
        handed = _handed(recipe, entry, inventory)
        if isinstance(handed.get("target_modules"), str):
            # A pattern in place of names: ms-swift's for `all-linear` on a multimodal model.
            hits[entry] = tuple(adapted)
            continue
        named = EntryList(_names(handed) - always)
        hits[entry] = tuple(path for path in adapted if named.first_naming(path) is not None)
    return hits


def _by_ends(entries: Sequence[str], adapted: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    known = EntryList(entries)
    hits: dict[str, list[str]] = {}
    for path in adapted:
        for entry in known.naming(path):
            hits.setdefault(entry, []).append(path)
    return {entry: tuple(paths) for entry, paths in hits.items()}


def _handed(recipe: Recipe, entry: str, inventory: Inventory) -> Mapping[str, Any]:
    """Return what the tool hands over for one entry alone; nothing where it refuses that."""
    alone = replace(recipe, stated={**recipe.stated, "target_modules": (entry,)})
    try:
        return hand(alone, inventory)
    except SpecificationError:
        return {}


def _names(handed: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of modules and parameters in what a tool hands over."""
    listed = [handed.get("target_modules"), handed.get("target_parameters")]
    return frozenset(
        name for each in listed if isinstance(each, (list, tuple, set)) for name in each
    )
