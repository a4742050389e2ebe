"""From a recipe and a model to what the rules look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe
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
    handed: Mapping[str, Any] = hand(recipe, inventory)
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
        entries=_entries(asked, spec, match, inventory, peft_version),
        refused=match.refused,
    )


def _entries(
    asked: LoraSpec, spec: LoraSpec, match: Match, inventory: Inventory, peft_version: str
) -> tuple[EntryMatch, ...]:
    """Return what the user's own entries hit, where the tool rewrites the targets."""
    if spec.target_modules == asked.target_modules or isinstance(asked.target_modules, str):
        return match.entries
    if not asked.target_modules:
        return match.entries
    others = tuple(each for each in match.entries if each.where is not Where.TARGET_MODULES)
    own = _explained_alone(asked, inventory, peft_version)
    if own is None:
        return match.entries
    reached = [target.path for target in match.targets]
    known = EntryList(asked.target_modules)
    hits: dict[str, list[str]] = {}
    for path in reached:
        for entry in known.naming(path):
            hits.setdefault(entry, []).append(path)
    listed = tuple(_as_reached(each, hits.get(each.entry, []), match) for each in own)
    return (*listed, *others)


def _explained_alone(
    asked: LoraSpec, inventory: Inventory, peft_version: str
) -> tuple[EntryMatch, ...] | None:
    """Explain the listed targets by themselves; None if PEFT refuses them before it selects."""
    alone = LoraSpec(target_modules=asked.target_modules)
    try:
        found = explain(inventory, alone, peft_version=peft_version)
    except SpecificationError:
        return None
    return tuple(found.entries_of(Where.TARGET_MODULES))


def _as_reached(entry: EntryMatch, paths: list[str], match: Match) -> EntryMatch:
    if not entry.matched or len(paths) == entry.matched:
        return entry
    if any(target.is_parameter for target in match.targets) and not paths:
        return entry
    reason = entry.reason if paths else "Modules of this name are left out by the tool."
    return replace(entry, matched=len(paths), paths=tuple(paths), reason=reason)
