"""From a recipe and a model to what the rules look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.roles import ROUTERS, Kind
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.formats import hand
from lorascope.matching import NEWEST, EntryMatch, Match, Where, explain
from lorascope.matching.names import EntryList


def subject_of(
    recipe: Recipe,
    inventory: Inventory | None = None,
    *,
    stored: tuple[StoredTensor, ...] | None = None,
    engines: tuple[str, ...] = (),
    peft_version: str = NEWEST,
) -> Subject:
    """Ask what PEFT does with a recipe on a model, and keep all of it together.

    Args:
        recipe: What somebody wrote.
        inventory: Of the bare base model; None if it is not known.
        stored: Tensors of the trained adapter; None if there is none.
        engines: Serving engines asked for.
        peft_version: Whose behaviour to follow.

    Raises:
        SpecificationError: A field has a type that PEFT does not take.
    """
    asked = LoraSpec.from_dict(recipe.stated, where=recipe.origin)
    subject = Subject(
        recipe, asked, asked, stored=stored, engines=engines, peft_version=peft_version
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
        match = explain(inventory, spec, peft_version=peft_version)
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
    known = EntryList(asked.target_modules)
    hits: dict[str, list[str]] = {}
    for target in match.targets:
        for entry in known.naming(target.path):
            hits.setdefault(entry, []).append(target.path)
    left = [target.path for target in match.targets if known.first_naming(target.path) is None]
    kinds = {path: _word_for(inventory.by_path.get(path)) for path in left}
    words = frozenset(kinds.values()) if recipe.tool is Tool.MS_SWIFT else frozenset()
    return (
        *(
            _of_word(entry, [path for path in left if kinds[path] == entry])
            if entry in words
            else _as_reached(own.get(entry, _missing(entry)), hits.get(entry, []), match)
            for entry in asked.target_modules
        ),
        *others,
    )


def _word_for(module: Module | None) -> str:
    """Return which of ms-swift's words stands for a module.

    Source: ms-swift 4.6.0, `get_target_modules`.
    """
    if module is not None and module.role in ROUTERS:
        return "all-router"
    return "all-embedding" if module is not None and module.kind is Kind.EMBEDDING else "all-linear"


def _chosen_by_tool(recipe: Recipe, match: Match) -> EntryMatch:
    """Return one entry for all that a tool chooses by itself, under the word that asks for it."""
    stated = recipe.options.get(recipe.key("target_modules"))
    entry = stated if isinstance(stated, str) else f"chosen by {recipe.tool}"
    return _of_word(entry, [t.path for t in match.targets if not t.is_parameter])


def _of_word(entry: str, paths: list[str]) -> EntryMatch:
    why = "The tool puts names in its place."
    return EntryMatch(Where.TARGET_MODULES, entry, len(paths), tuple(paths), why)


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


def _as_reached(entry: EntryMatch, paths: list[str], match: Match) -> EntryMatch:
    """Return the entry with what is really adapted of what it names."""
    if not entry.matched or len(paths) == entry.matched:
        return entry
    if any(target.is_parameter for target in match.targets) and not paths:
        return entry
    if paths:
        return replace(entry, matched=len(paths), paths=tuple(paths))
    why = "PEFT gets something else" if match.refused else "The tool adapts none"
    reason = f"{why}; the names of {entry.matched} end with it."
    return replace(entry, matched=0, paths=(), reason=reason)
