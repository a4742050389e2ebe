"""From a recipe and a model to what the rules look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lorascope.checking.entry_hits import entry_hits
from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
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
        reason = str(error).removeprefix(f"{recipe.origin}: ")
        return replace(subject, inventory=inventory, refused=reason, refused_by_tool=True)
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
    is_written = Where.TARGET_PARAMETERS in recipe.stated or not spec.target_parameters
    left_out = {Where.TARGET_MODULES, None if is_written else Where.TARGET_PARAMETERS}
    others = tuple(each for each in match.entries if each.where not in left_out)
    if not asked.target_modules:
        return (_chosen_by_tool(recipe, match, with_parameters=not is_written), *others)
    own = {each.entry: each for each in _explained_alone(asked, inventory, peft_version)}
    hits = entry_hits(recipe, asked.target_modules, match, inventory)
    listed = tuple(
        _as_reached(own.get(entry, _missing(entry)), hits.get(entry, ()), match)
        for entry in asked.target_modules
    )
    return (*listed, *_added_by_options(recipe, listed, match, inventory), *others)


_LINEAR_FLAG = "lora_target_linear"
"""What asks for every linear in Axolotl."""
_MLP_FLAG = "apply_lora_to_mlp"
_OUTPUT_FLAG = "apply_lora_to_output"
"""What asks for more than the attention in torchtune."""


def _added_by_options(
    recipe: Recipe, listed: Sequence[EntryMatch], match: Match, inventory: Inventory
) -> Iterator[EntryMatch]:
    """Yield one entry for each setting of the tool that adapts modules no listed entry reaches."""
    known = {path for entry in listed for path in entry.paths}
    added: dict[str, list[str]] = {}
    for target in match.targets:
        if not target.is_parameter and target.path not in known:
            row = inventory.by_path.get(target.path)
            group = "" if row is None else row.role.group
            added.setdefault(_option_adding(recipe, group), []).append(target.path)
    for option, paths in added.items():
        why = "The tool adds these to the list."
        yield EntryMatch(Where.TARGET_MODULES, option, len(paths), tuple(paths), why)


def _option_adding(recipe: Recipe, group: str) -> str:
    """Return the setting that adds modules of a group of roles."""
    if recipe.tool is Tool.TORCHTUNE:
        return _MLP_FLAG if group == "ffn" else _OUTPUT_FLAG
    return _LINEAR_FLAG if recipe.options.get(_LINEAR_FLAG) else f"chosen by {recipe.tool}"


def _chosen_by_tool(recipe: Recipe, match: Match, *, with_parameters: bool) -> EntryMatch:
    """Return one entry for all that a tool chooses by itself, under the word that asks for it."""
    stated = recipe.options.get(recipe.key("target_modules").removeprefix("--"))
    entry = stated if isinstance(stated, str) else f"chosen by {recipe.tool}"
    if recipe.options.get(_LINEAR_FLAG):
        entry = _LINEAR_FLAG
    paths = tuple(t.path for t in match.targets if with_parameters or not t.is_parameter)
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
