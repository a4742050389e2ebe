"""Real names for an entry that names nothing: what is like it, or does the same in this model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind, Role
from lorascope.matching.names import EntryList, parameter_names
from lorascope.matching.result import EntryMatch, Where
from lorascope.matching.usual_names import FUSED_NAMES, LATENT_ROLES, ROLES_OF_NAME

_MOST = 3
"""Names given for one entry."""
_LONGEST = 100
"""Characters of a name up to which it is compared; comparing takes time quadratic in them."""
_MOST_COMPARED = 200
"""Different names that are compared for one configuration."""
_NUMBERED = frozenset({Where.LAYERS_TO_TRANSFORM, Where.LAYERS_PATTERN})


def with_nearest(
    entries: Sequence[EntryMatch], inventory: Inventory, modules: Mapping[str, Module]
) -> tuple[EntryMatch, ...]:
    """Add the nearest real names to the entries that name nothing at all.

    An entry that names something which is then excluded, or in other layers, needs none.

    Args:
        entries: As explained so far.
        inventory: Of the bare base model, with roles.
        modules: As `named_modules()` lists them.
    """
    missed = [each.entry for each in entries if _may_be_misspelt(each)]
    if not missed:
        return tuple(entries)
    as_module = frozenset(_naming(missed, modules))
    as_parameter = frozenset(_naming(missed, parameter_names(modules)))
    names = _Names(inventory)
    unknown = [e for e in missed if len(e) <= _LONGEST and e not in as_module | as_parameter]
    nearest = {e: names.nearest(e) for e in list(dict.fromkeys(unknown))[:_MOST_COMPARED]}
    return tuple(
        _told(each, nearest.get(each.entry, ()), as_module, as_parameter, names.parameters)
        if _may_be_misspelt(each)
        else each
        for each in entries
    )


def _may_be_misspelt(entry: EntryMatch) -> bool:
    """Whether it names nothing and is a name: a regular expression is like no name."""
    plain = entry.entry.replace(".", "").replace("-", "_")
    return not entry.matched and entry.where not in _NUMBERED and f"_{plain}".isidentifier()


def _naming(entries: Iterable[str], names: Iterable[str]) -> Iterable[str]:
    known = EntryList(entries)
    for name in names:
        yield from known.naming(name)


def _told(
    entry: EntryMatch,
    nearest: tuple[str, ...],
    as_module: frozenset[str],
    as_parameter: frozenset[str],
    parameters: Mapping[str, None],
) -> EntryMatch:
    """Return the entry with its nearest names, and with the field that they belong in."""
    if entry.where is Where.TARGET_PARAMETERS:
        if entry.entry in as_module:
            return replace(entry, reason=f"{entry.reason} It is a module's, for target_modules.")
        return replace(entry, nearest=nearest)
    if entry.where is Where.TARGET_MODULES:
        stacked = [name for name in nearest if name in parameters]
        if entry.entry in as_parameter and entry.entry not in as_module:
            stacked = [entry.entry]
        if stacked:
            told = f"{stacked[0]} is a parameter, for target_parameters."
            return replace(entry, nearest=nearest, reason=f"{entry.reason} {told}")
    return replace(entry, nearest=nearest)


class _Names:
    """The names of one model that may be meant, as a list of targets may write them.

    That is the last part of a name; the last two for an expert parameter, and where modules of
    several roles end alike.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._ends: dict[str, None] = {}
        self._longer: dict[str, dict[str, None]] = {}
        self._of_role: dict[Role, dict[str, None]] = {}
        self.parameters: dict[str, None] = {}
        roles: dict[str, set[Role]] = {}
        for module in inventory.adaptable:
            roles.setdefault(module.name, set()).add(module.role)
        for module in inventory.adaptable:
            longer = ".".join(module.path.rsplit(".", 2)[-2:])
            if len(longer) > _LONGEST:
                continue
            if module.kind is Kind.EXPERT_PARAMETER:
                self.parameters[longer] = None
            self._ends[longer if longer in self.parameters else module.name] = None
            self._longer.setdefault(module.name, {})[longer] = None
            if module.tower in inventory.model.main_towers:
                clear = len(roles[module.name]) == 1 and longer not in self.parameters
                name = module.name if clear else longer
                self._of_role.setdefault(module.role, {})[name] = None

    def nearest(self, entry: str) -> tuple[str, ...]:
        """Return up to three ends of real names."""
        last = entry.rpartition(".")[2]
        longer = self._longer.get(last) if last != entry else None
        found = longer or self._alike(last)
        return tuple(found)[:_MOST]

    def _alike(self, name: str) -> Iterable[str]:
        in_case = [end for end in self._ends if end.lower() == name.lower()]
        if in_case:
            return in_case
        roles = [role for role in ROLES_OF_NAME.get(name, ()) if self._of_role.get(role)]
        doing = [self._of_role[role] for role in roles]
        if roles and roles[0] not in LATENT_ROLES and name.lower() not in FUSED_NAMES:
            return doing[0]
        together = dict.fromkeys(each for names in doing for each in names)
        return together or get_close_matches(name, self._ends, n=_MOST)
