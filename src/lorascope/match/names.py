"""The names that PEFT goes through, and how an entry of a list finds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind


def visited_modules(inventory: Inventory) -> dict[str, Module]:
    """Return the modules by path as `named_modules()` lists them, the root (`""`) first.

    Second names of a module object are left out, and so are expert parameters, which are no
    modules.
    """
    return {
        module.path: module
        for module in inventory.modules
        if module.alias_of is None and module.kind is not Kind.EXPERT_PARAMETER
    }


def parameter_names(modules: Mapping[str, Module]) -> Iterator[str]:
    """Yield full parameter names as `named_parameters()` does: each tensor under its first name."""
    for path, module in modules.items():
        for parameter in module.parameters:
            if parameter.tied_to is None:
                yield joined(path, parameter.name)


def joined(path: str, name: str) -> str:
    """Return the full name of `name` inside the module at `path` (`""` is the root)."""
    return f"{path}.{name}" if path else name


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths of all containers of `path`, the nearest first, without the root."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def proper_suffixes(name: str) -> Iterator[str]:
    """Yield what follows each dot of `name`, the longest first: `b.c` and `c` for `a.b.c`."""
    dot = name.find(".")
    while dot >= 0:
        yield name[dot + 1 :]
        dot = name.find(".", dot + 1)


def entries_of_list(name: str, entries: Collection[str]) -> Iterator[str]:
    """Yield the entries that name `name`: the full name itself, or what follows one of its dots.

    This is PEFT's `key in entries or key.endswith("." + entry)`, asked through the few suffixes
    of the name instead of through all entries. Pass a set or a mapping.
    """
    if name in entries:
        yield name
    for suffix in proper_suffixes(name):
        if suffix in entries:
            yield suffix


def named_by_list(names: Iterable[str], entries: Iterable[str]) -> dict[str, str]:
    """Return, for each name that an entry names, the most specific entry that does."""
    known = frozenset(entries)
    named: dict[str, str] = {}
    for name in names:
        entry = next(entries_of_list(name, known), None)
        if entry is not None:
            named[name] = entry
    return named
