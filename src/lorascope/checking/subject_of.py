"""From a recipe and a model to what the rules look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope.checking.entry_hits import entry_hits
from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.formats import hand
from lorascope.matching import NEWEST, EntryMatch, Match, Where, explain
from lorascope.matching.bounded_regex import BoundedRegex


def subject_of(
    recipe: Recipe,
    inventory: Inventory | None = None,
    *,
    stored: tuple[StoredTensor, ...] | None = None,
    engines: tuple[str, ...] = (),
    ignored_sizes: str | None = None,
    peft_version: str = NEWEST,
    regex: BoundedRegex | None = None,
) -> Subject:
    """Ask what PEFT does with a recipe on a model, and keep all of it together.

    Args:
        recipe: What somebody wrote.
        inventory: Of the bare base model; None if it is not known.
        stored: Tensors of the trained adapter; None if there is none.
        engines: Serving engines asked for.
        ignored_sizes: Why the base model is not known, if its config states sizes that its class
            ignores.
        peft_version: Whose behaviour to follow.
        regex: Matches the patterns, in what is left of its time; None for one of its own.

    Raises:
        SpecificationError: A field has a type that PEFT does not take.
    """
    asked = LoraSpec.from_dict(recipe.stated, where=recipe.origin)
    subject = Subject(
        recipe,
        asked,
        asked,
        stored=stored,
        engines=engines,
        ignored_sizes=ignored_sizes,
        peft_version=peft_version,
        regex=BoundedRegex() if regex is None else regex,
    )
    if inventory is None:
        return subject
    try:
        handed: Mapping[str, Any] = hand(recipe, inventory)
    except SpecificationError as error:
        return replace(subject, inventory=inventory, refused=str(error))
    spec = LoraSpec.from_dict(handed, where=recipe.origin)
    subject = replace(subject, spec=spec, inventory=inventory)
    try:
        match = explain(inventory, spec, peft_version=peft_version, regex=subject.regex)
    except UnmodelledError as error:
        return replace(subject, unmodelled=str(error))
    except SpecificationError as error:
        return replace(subject, refused=str(error))
    return replace(
        subject,
        match=match,
        entries=_entries(recipe, asked, spec, match, inventory, peft_version),
        refused=match.refused,
    )


def _entries(
    recipe: Recipe,
    asked: LoraSpec,
    spec: LoraSpec,
    match: Match,
    inventory: Inventory,
    peft_version: str,
) -> tuple[EntryMatch, ...]:
    """Return what the user's own entries hit, where the tool puts other targets in their place."""
    if spec.target_modules == asked.target_modules or isinstance(asked.target_modules, str):
        return match.entries
    others = tuple(each for each in match.entries if each.where is not Where.TARGET_MODULES)
    if not asked.target_modules:
        return (_chosen_by_tool(recipe, match), *others)
    own = {each.entry: each for each in _explained_alone(asked, inventory, peft_version)}
    hits = entry_hits(recipe, asked.target_modules, match, inventory)
    return (
        *(
            _as_reached(own.get(entry, _missing(entry)), hits.get(entry, ()), match)
            for entry in asked.target_modules
        ),
        *others,
    )


_LINEAR_FLAG = "lora_target_linear"
"""What asks for every linear in Axolotl."""


def _chosen_by_tool(recipe: Recipe, match: Match) -> EntryMatch:
    """Return one entry for all that a tool chooses by itself, under the word that asks for it."""
    stated = recipe.options.get(recipe.key("target_modules").removeprefix("--"))
    entry = stated if isinstance(stated, str) else f"chosen by {recipe.tool}"
    if recipe.options.get(_LINEAR_FLAG):
        entry = _LINEAR_FLAG
    paths = tuple(target.path for target in match.targets if not target.is_parameter)
    why = "The tool puts names in its place."
    return EntryMatch(Where.TARGET_MODULES, entry, len(paths), paths, why)


def _missing(entry: str) -> EntryMatch:
    return EntryMatch(Where.TARGET_MODULES, entry, 0, (), "No module has this name.")


def _explained_alone(
    asked: LoraSpec, inventory: Inventory, peft_version: str
) -> tuple[EntryMatch, ...]:
    """Explain the listed targets by themselves; nothing if PEFT refuses before it selects."""
    alone = LoraSpec(target_modules=asked.target_modules)
    try:
        found = explain(inventory, alone, peft_version=peft_version)
    except SpecificationError:
        return ()
    return tuple(found.entries_of(Where.TARGET_MODULES))


def _as_reached(entry: EntryMatch, paths: Sequence[str], match: Match) -> EntryMatch:
    """Return the entry with what is really adapted for it."""
    if len(paths) == entry.matched:
        return entry
    if paths:
        why = entry.reason if entry.matched else "The tool puts these in its place."
        return replace(entry, matched=len(paths), paths=tuple(paths), reason=why, nearest=())
    if any(target.is_parameter for target in match.targets):
        return entry
    why = "PEFT gets something else" if match.refused else "The tool adapts none"
    reason = f"{why}; the names of {entry.matched} end with it."
    return replace(entry, matched=0, paths=(), reason=reason)
