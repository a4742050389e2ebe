"""Which modules each entry reaches, whether PEFT then adapts them or refuses the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lorascope.checking.subject import Subject
from lorascope.core.inventory import Module
from lorascope.core.recipe import Tool
from lorascope.core.roles import Kind
from lorascope.matching import MatchedTarget, Reason, Where, explain

_TARGETS = (Where.TARGET_MODULES, Where.TARGET_PARAMETERS)
_WITHOUT_PEFT = (Tool.TORCHTUNE, Tool.MLX_LM)


@dataclass(frozen=True, slots=True)
class Reach:
    """What one entry reaches."""

    where: Where
    entry: str
    """As the user wrote it, or the word that makes a tool choose; as PEFT's default has it where
    no targets are given."""
    modules: tuple[Module, ...]
    """Rows of the inventory, in model order."""
    is_listed: bool = False
    """Whether the user wrote it as an entry of a list."""
    is_needed: bool = False
    """Whether no other entry reaches anything that LoRA may well adapt."""
    alike: tuple[str, ...] = ()
    """Further entries that `merged` told together with this one."""


def uses_peft(subject: Subject) -> bool:
    """Whether the tool puts PEFT's layers on transformers' classes."""
    return subject.recipe.tool not in _WITHOUT_PEFT


def reaches(subject: Subject) -> tuple[Reach, ...]:
    """Return what each entry reaches that reaches anything, in the user's order.

    Where PEFT adapts anything, this is what it adapts, each under the first entry that chose it.
    Where it refuses, this is what the entries name.
    """
    known = subject.worked_out
    if "reaches" not in known:
        known["reaches"] = _reaches(subject)
    found: tuple[Reach, ...] = known["reaches"]
    return found


def _reaches(subject: Subject) -> tuple[Reach, ...]:
    found: dict[tuple[Where, str], list[Module]] = {}
    for where, entry, module in _adapted(subject) if subject.targets else _named(subject):
        found.setdefault((where, entry), []).append(module)
    place = {(each.where, each.entry): i for i, each in enumerate(subject.entries)}
    listed = {
        Where.TARGET_MODULES: frozenset(subject.list_targets),
        Where.TARGET_PARAMETERS: frozenset(subject.asked.target_parameters or ()),
    }
    sound = {key for key, rows in found.items() if any(map(_is_sound, rows))}
    return tuple(
        Reach(
            where,
            entry,
            tuple(rows),
            is_listed=entry in listed[where],
            is_needed=len(sound) == ((where, entry) in sound),
        )
        for (where, entry), rows in sorted(
            found.items(), key=lambda item: place.get(item[0], len(place))
        )
    )


_UNSOUND = frozenset(
    {
        "forward_never_called",
        "forward_bypassed_by_kernel",
        "not_affine",
        "router",
        "state_space_kernel",
        "unsupported_class",
    }
)


def _is_sound(module: Module) -> bool:
    stacked = module.kind is Kind.EXPERT_PARAMETER
    return stacked or _UNSOUND.isdisjoint(module.hazards)


def merged(found: Iterable[Reach]) -> tuple[Reach, ...]:
    """Tell full names that end alike together, under the first of them."""
    groups: dict[tuple[Where, str], list[Reach]] = {}
    for reach in found:
        is_full_name = reach.is_listed and len(reach.modules) == 1
        last = reach.entry.rpartition(".")[2] if is_full_name else f"…{reach.entry}"
        groups.setdefault((reach.where, last), []).append(reach)
    return tuple(
        replace(
            group[0],
            modules=tuple(module for each in group for module in each.modules),
            alike=tuple(each.entry for each in group[1:]),
        )
        for group in groups.values()
    )


def reached(subject: Subject) -> tuple[Module, ...]:
    """Return all that the entries reach, each once, in the order of the entries."""
    rows = {module.path: module for reach in reaches(subject) for module in reach.modules}
    return tuple(rows.values())


def _adapted(subject: Subject) -> Iterator[tuple[Where, str, Module]]:
    owners = _owners(subject)
    for target, row in subject.adapted:
        where = (
            Where.TARGET_PARAMETERS
            if target.reason is Reason.TARGET_PARAMETER
            else Where.TARGET_MODULES
        )
        yield where, _own_entry(subject, target, where, owners), row


def _own_entry(
    subject: Subject, target: MatchedTarget, where: Where, owners: Mapping[str, str]
) -> str:
    if where is Where.TARGET_PARAMETERS:
        return target.entry
    asked = subject.asked.target_modules
    return asked if isinstance(asked, str) else owners.get(target.path, target.entry)


def _owners(subject: Subject) -> Mapping[str, str]:
    """Full name → the user's own word that reaches it, where a tool puts others in its place."""
    if subject.spec.target_modules == subject.asked.target_modules:
        return {}
    entries = subject.entries_of(Where.TARGET_MODULES)
    return {path: entry.entry for entry in reversed(entries) for path in entry.paths}


def _named(subject: Subject) -> Iterator[tuple[Where, str, Module]]:
    by_path = subject.model.by_path
    for entry in subject.entries:
        if entry.where not in _TARGETS:
            continue
        for path in entry.paths:
            row = by_path.get(path) or by_path.get(path.rpartition(".")[0])
            if row is not None:
                yield entry.where, entry.entry, row


def asked_otherwise(subject: Subject, **changes: Any) -> Subject:
    """Return what would be, had the tool handed PEFT other values.

    Raises:
        SpecificationError: PEFT would refuse that before it selects a module.
        UnmodelledError: lorascope does not model it.
    """
    spec = replace(subject.spec, **changes)
    match = explain(subject.model, spec, peft_version=subject.peft_version, regex=subject.regex)
    return replace(subject, spec=spec, match=match, entries=match.entries, refused=match.refused)
