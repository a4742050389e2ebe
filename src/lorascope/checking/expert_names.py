"""Old names of experts that PEFT rewrites for transformers 5, and who else bears them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lorascope.checking.subject import Subject
from lorascope.core.inventory import Module
from lorascope.core.roles import Kind
from lorascope.matching.all_linear import SHORTHAND
from lorascope.matching.bounded_regex import Pattern
from lorascope.matching.expert_rewrite import NEW_NAMES
from lorascope.matching.names import EntryList

ROUTER = "gate"
"""The one old name that is no expert's."""


@dataclass(frozen=True, slots=True)
class Namesakes:
    """Linears outside the routed experts that an entry names, and that PEFT leaves out for them."""

    modules: tuple[Module, ...]
    only: bool
    """Whether the entry names no routed expert by their old names, so that it means these."""


def old_names(subject: Subject) -> Mapping[str, str]:
    """Return the listed entries that PEFT rewrites, each with the old name that it ends with."""
    known = _known(subject)
    return {
        entry: last
        for entry in subject.list_targets
        if (last := entry.rpartition(".")[2]) in known and last != ROUTER
    }


def misrouted(subject: Subject) -> Mapping[str, Namesakes]:
    """Return, for each entry, the linears that it names and PEFT's rewrite takes it away from."""
    found = dict(_of_list(subject)) if subject.list_targets else dict(_of_string(subject))
    reached = {path.removesuffix(".weight") for path in subject.adapted_paths}
    return {
        entry: each
        for entry, each in found.items()
        if each.modules and not all(module.path in reached for module in each.modules)
    }


def _known(subject: Subject) -> Mapping[str, str]:
    return NEW_NAMES.get(subject.model.model.expert_rewrite or "", {})


def _namesakes(subject: Subject) -> Iterator[Module]:
    """Yield the adaptable modules that are called as experts once were."""
    known = _known(subject)
    for path, module in subject.modules.items():
        last = path.rpartition(".")[2]
        if last in known and last != ROUTER and module.kind is Kind.LINEAR:
            yield module


def _old_paths(subject: Subject) -> Iterator[str]:
    """Yield what the routed experts' linears were called, as PEFT tries them and as they were."""
    known = _known(subject)
    for module in subject.model.adaptable:
        if module.kind is not Kind.EXPERT_PARAMETER:
            continue
        holder, _, name = module.path.rpartition(".")
        for old, new in known.items():
            if new == name:
                yield f"{holder}.{old}"
                yield f"{holder}.0.{old}"


def _of_list(subject: Subject) -> Iterator[tuple[str, Namesakes]]:
    entries = tuple(old_names(subject))
    if not entries:
        return
    known = EntryList(entries)
    named: dict[str, list[Module]] = {}
    for module in _namesakes(subject):
        for entry in known.naming(module.path):
            named.setdefault(entry, []).append(module)
    routed = {entry for path in _old_paths(subject) for entry in known.naming(path)}
    for entry, modules in named.items():
        yield entry, Namesakes(tuple(modules), only=entry not in routed)


def _of_string(subject: Subject) -> Iterator[tuple[str, Namesakes]]:
    asked = subject.pattern
    if asked is None or not _known(subject):
        return
    modules = {module.path: module for module in _namesakes(subject)}
    if asked.lower() == SHORTHAND:
        yield asked, Namesakes(tuple(modules.values()), only=False)
        return
    old = tuple(_old_paths(subject))
    where = Pattern(asked, "target_modules")
    hits = subject.regex.matching(where, [*modules, *old], whole=True)
    yield (
        asked,
        Namesakes(
            tuple(modules[path] for path in hits if path in modules),
            only=not any(path in hits for path in old),
        ),
    )
