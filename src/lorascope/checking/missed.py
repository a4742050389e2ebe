"""Why an entry of a list hits nothing: each such entry is the matter of exactly one rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from lorascope.checking.eras import other_era
from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.recipe import Tool
from lorascope.core.roles import EXPERTS, Kind, Role
from lorascope.matching import EntryMatch, Where
from lorascope.matching.all_linear import SHORTHAND
from lorascope.matching.bounded_regex import Pattern
from lorascope.matching.names import parameter_names, suffixes
from lorascope.matching.usual_names import ROLES_OF_NAME


class Why(StrEnum):
    """Why nothing is hit. The first that applies is taken."""

    PUNCTUATION = "punctuation"
    """It is a name, or several, but for the commas, spaces or quotes in it."""
    SHORTHAND = "shorthand"
    """It is `all-linear`, which PEFT knows as a string only."""
    REGEX = "regex"
    """It would hit something as a regular expression."""
    FUSED = "fused"
    """The model has what it names inside a fused projection."""
    ERA = "era"
    """Another class, release or tool calls the same modules so."""
    EXPERT = "expert"
    """The model has what it names as stacked expert parameters."""
    CASE = "case"
    """One real name differs from it in upper and lower case only."""
    PATH = "path"
    """It is the end of names, where the tool wants the whole path inside a block."""
    UNKNOWN = "unknown"
    """None of these."""


@dataclass(frozen=True, slots=True)
class Missed:
    """An entry that hits nothing."""

    entry: EntryMatch
    why: Why
    instead: tuple[str, ...] = ()
    """Entries to write in its place, as exact as they are known; may be empty."""


_AROUND = " \t\r\n,;\"'`[]()"
_BETWEEN = re.compile(r"[,;\s]+")
_REGEX_SIGNS = re.compile(r"[\\^$*+?{}\[\]|()]")
_FUSED_ROLES = (
    Role.ATTENTION_QKV,
    Role.ATTENTION_QKVO,
    Role.ATTENTION_QK,
    Role.ATTENTION_KV,
    Role.FFN_GATE_UP,
)


def missed_targets(subject: Subject) -> tuple[Missed, ...]:
    """Return the listed targets that hit nothing, each with the reason.

    An entry that names something which is then excluded, saved whole, in other layers or
    rewritten to expert parameters is not among them.
    """
    known = subject.worked_out
    if "missed_targets" not in known:
        known["missed_targets"] = tuple(_missed(subject, Where.TARGET_MODULES))
    missed: tuple[Missed, ...] = known["missed_targets"]
    return missed


def mended(entries: Iterable[str], missed: Iterable[Missed]) -> tuple[str, ...]:
    """Return entries with what to write in the place of those that are missed, each once."""
    instead = {each.entry.entry: each.instead for each in missed}
    return tuple(dict.fromkeys(new for old in entries for new in instead.get(old, (old,))))


def missed_parameters(subject: Subject) -> tuple[Missed, ...]:
    """Return the entries of `target_parameters` that hit nothing, each with the reason."""
    known = subject.worked_out
    if "missed_parameters" not in known:
        known["missed_parameters"] = tuple(_missed(subject, Where.TARGET_PARAMETERS))
    missed: tuple[Missed, ...] = known["missed_parameters"]
    return missed


def _missed(subject: Subject, where: Where) -> Iterator[Missed]:
    if where is Where.TARGET_MODULES and not subject.list_targets:
        return
    if subject.recipe.tool is Tool.TORCHTUNE:
        # Its names are those of its own classes, whatever the modules are called here.
        return
    entries = [entry for entry in subject.entries_of(where) if not entry.matched]
    if not entries:
        return
    names = _names(subject)
    for entry in entries:
        if not names.has(entry.entry, where):
            yield _explained(entry, where, names)
        elif subject.recipe.tool is Tool.MLX_LM and where is Where.TARGET_MODULES:
            paths = names.inside_blocks(entry.entry)
            if entry.entry not in paths:
                yield Missed(entry, Why.PATH, paths)


def _names(subject: Subject) -> _Names:
    known = subject.worked_out
    if "names" not in known:
        known["names"] = _Names(subject)
    names: _Names = known["names"]
    return names


def _explained(entry: EntryMatch, where: Where, names: _Names) -> Missed:
    written = _written_in(entry.entry, names)
    if written:
        return Missed(entry, Why.PUNCTUATION, written)
    if entry.entry.lower() == SHORTHAND:
        return Missed(entry, Why.SHORTHAND, (SHORTHAND,))
    if _REGEX_SIGNS.search(entry.entry) and names.match_regex(entry.entry):
        return Missed(entry, Why.REGEX, (entry.entry,))
    if where is Where.TARGET_MODULES:
        fused = names.fused(entry.entry)
        if fused:
            return Missed(entry, Why.FUSED, fused)
        experts = names.experts(entry.entry)
        if experts:
            return Missed(entry, Why.EXPERT, experts)
    era = other_era(entry.entry, names.module_ends)
    if era and names.do(era, entry.entry):
        return Missed(entry, Why.ERA, era)
    in_case = names.in_case(entry.entry) if where is Where.TARGET_MODULES else ()
    if len(in_case) == 1:
        return Missed(entry, Why.CASE, in_case)
    return Missed(entry, Why.UNKNOWN, entry.nearest)


def _written_in(entry: str, names: _Names) -> tuple[str, ...]:
    """Return the names that an entry holds among other signs; empty if it is plain, or no names."""
    parts = tuple(part for each in _BETWEEN.split(entry) if (part := each.strip(_AROUND)))
    if parts == (entry,) or not all(names.has_any(part) or is_name(part) for part in parts):
        return ()
    return tuple(dict.fromkeys(parts))


def is_name(text: str) -> bool:
    """Whether it may be the name of a module, or the end of one: words with dots between."""
    return all(f"_{part.replace('-', '_')}".isidentifier() for part in text.split("."))


def patterns_meant(entry: str) -> tuple[str, ...]:
    """Return the regular expressions for whole names that an entry may be meant as."""
    glob = (f".{entry}",) if entry.startswith("*") else ()
    return (entry, rf"(.*\.)?({entry})", *glob)


class _Names:
    """The names of one model, as the questions above need them."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._modules = tuple(path for path in subject.modules if path)
        self._has_time = True
        self._roles: dict[Role, dict[str, None]] = {}
        self._roles_by_name: dict[str, frozenset[Role]] = {}
        towers = subject.model.model.main_towers
        for module in subject.model.adaptable:
            if module.tower in towers:
                self._roles.setdefault(module.role, {})[module.name] = None
        for role, names in self._roles.items():
            for name in names:
                known = self._roles_by_name.get(name, frozenset())
                self._roles_by_name[name] = known | {role}

    @cached_property
    def module_ends(self) -> frozenset[str]:
        """All that an entry may be that names a module."""
        return frozenset(end for name in self._modules for end in suffixes(name))

    @cached_property
    def parameter_ends(self) -> frozenset[str]:
        """All that an entry may be that names a parameter."""
        names = parameter_names(self._subject.modules)
        return frozenset(end for name in names for end in suffixes(name))

    def has(self, entry: str, where: Where) -> bool:
        """Whether the entry is the end of some name of its field's kind."""
        ends = self.parameter_ends if where is Where.TARGET_PARAMETERS else self.module_ends
        return entry in ends

    @cached_property
    def _by_lower(self) -> Mapping[str, dict[str, None]]:
        """Ends of the names of what LoRA can adapt, by themselves in lower case."""
        found: dict[str, dict[str, None]] = {}
        for module in self._subject.model.adaptable:
            if module.kind is not Kind.EXPERT_PARAMETER:
                for end in suffixes(module.path):
                    found.setdefault(end.lower(), {})[end] = None
        return found

    def in_case(self, entry: str) -> tuple[str, ...]:
        """Return the ends of names that differ from the entry in upper and lower case only."""
        return tuple(self._by_lower.get(entry.lower(), ()))

    def inside_blocks(self, entry: str) -> tuple[str, ...]:
        """Return the paths, from its block on, of the adaptable modules that an entry names."""
        paths = (
            module.path.split(f".{module.layer}.", 1)[-1]
            for module in self._subject.model.adaptable
            if module.layer is not None and f".{module.path}".endswith(f".{entry}")
        )
        return tuple(dict.fromkeys(paths))

    def has_any(self, entry: str) -> bool:
        """Whether the entry is the end of a module's or parameter's name."""
        return entry in self.module_ends or entry in self.parameter_ends

    def match_regex(self, entry: str) -> bool:
        """Whether the entry, read as PEFT reads a string, matches a whole name."""
        for pattern in patterns_meant(entry) if self._has_time else ():
            try:
                where = Pattern(pattern, "target_modules")
                if self._subject.regex.matching(where, self._modules, whole=True):
                    return True
            except UnmodelledError:
                self._has_time = False
                return False
            except SpecificationError:
                continue
        return False

    def do(self, names: Iterable[str], entry: str) -> bool:
        """Whether modules of these names do nothing else than what the entry names usually does."""
        usual = frozenset(_roles_of(entry))
        last = [name.rpartition(".")[2] for name in names]
        return not usual or all(self._roles_by_name.get(n, usual) <= usual for n in last)

    def fused(self, entry: str) -> tuple[str, ...]:
        """Return the names of the fused projection that holds what the entry names."""
        roles = _roles_of(entry)
        if not roles or roles[0] in self._roles:
            return ()
        return _first(self._roles, [role for role in roles if role in _FUSED_ROLES])

    def experts(self, entry: str) -> tuple[str, ...]:
        """Return the names of the expert parameters that do what the entry names."""
        roles = _roles_of(entry)
        if not roles or any(role in self._roles for role in roles if role not in EXPERTS):
            return ()
        stacked = {
            role: {
                ".".join(module.path.rsplit(".", 2)[-2:]): None
                for module in self._subject.model.adaptable
                if module.role is role and module.kind is Kind.EXPERT_PARAMETER
            }
            for role in roles
            if role in EXPERTS
        }
        return _first(stacked, [role for role, names in stacked.items() if names])


def _roles_of(entry: str) -> Sequence[Role]:
    return ROLES_OF_NAME.get(entry.rpartition(".")[2], ())


def _first(names: Mapping[Role, Iterable[str]], roles: Iterable[Role]) -> tuple[str, ...]:
    return next((tuple(names[role]) for role in roles if role in names), ())
