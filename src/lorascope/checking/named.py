"""Which modules the targets name, whether or not PEFT can adapt them."""

from __future__ import annotations

from lorascope.checking.subject import Subject
from lorascope.core.inventory import Module
from lorascope.core.paths import parent_path
from lorascope.core.roles import Kind
from lorascope.matching import Where
from lorascope.matching.names import EntryList


def named_targets(subject: Subject) -> dict[str, str]:
    """Return what `target_modules` names, as PEFT gets it: full name → the user's own entry.

    Where a tool has made entries of its own, and none of the user's names a module, it is the
    tool's.
    """
    if subject.match is None:
        return {}
    own = EntryList(subject.list_targets)
    modules = subject.modules
    return {
        path: own.first_naming(path) or entry.entry
        for entry in subject.match.entries_of(Where.TARGET_MODULES)
        for path in entry.paths
        if path in modules
    }


def holders(subject: Subject) -> frozenset[str]:
    """Return the full names of all modules that have modules or expert parameters in them."""
    return frozenset(parent_path(module.path) for module in subject.model.modules if module.path)


def is_container(module: Module, holding: frozenset[str]) -> bool:
    """Whether it is a block of several modules and not a layer.

    Args:
        module: Any module.
        holding: As `holders` returns.
    """
    return module.kind is Kind.CONTAINER and module.path in holding


def by_entry(named: dict[str, str]) -> dict[str, list[str]]:
    """Turn full name → entry around: entry → full names, in the order of the model."""
    found: dict[str, list[str]] = {}
    for path, entry in named.items():
        found.setdefault(entry, []).append(path)
    return found
