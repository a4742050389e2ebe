"""LT026: an exclusion excludes nothing of what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.errors import SpecificationError
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.matching import Where
from lorascope.matching.bounded_regex import Pattern
from lorascope.matching.names import EntryList, ancestors


@dataclass(frozen=True, slots=True)
class _Excluded:
    """What one entry names."""

    entry: str
    named: Sequence[str]
    inside: Sequence[str]
    """Adapted modules and parameters that lie inside what it names."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name nothing, or only containers whose content stays adapted."""
    asked = subject.spec.exclude_modules
    if not asked:
        return
    known = _Known(subject, _entries(asked))
    entries = [known.looked_up(entry) for entry in _entries(asked)]
    useless = [entry for entry in entries if entry.inside]
    as_regex = _as_regex(asked) if len(useless) == len(entries) else None
    meant = as_regex or _pattern_of([entry.entry for entry in entries if entry.named])
    nearest = {e.entry: e.nearest for e in subject.entries_of(Where.EXCLUDE_MODULES)}
    for entry in entries:
        if entry.inside:
            yield _container(entry, as_regex, meant, isinstance(asked, str))
        elif not entry.named:
            near = nearest.get(entry.entry, ())
            yield Problem(
                entry=entry.entry,
                message=f"It names no module of {subject.model.model.cls} and excludes nothing.",
                hint=f"The nearest real names are {listed(near)}." if near else "Remove it.",
                where=Where.EXCLUDE_MODULES,
            )


def _entries(asked: tuple[str, ...] | str) -> tuple[str, ...]:
    return (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))


class _Known:
    """What the entries name, and what is inside of that; looked up once for all entries."""

    def __init__(self, subject: Subject, entries: Sequence[str]) -> None:
        self._subject = subject
        self._names = [path for path in subject.modules if path]
        self._taken_out = set() if subject.match is None else set(subject.match.excluded)
        self._by_end: dict[str, list[str]] = {}
        known = EntryList(entries)
        for name in self._names:
            for entry in known.naming(name):
                self._by_end.setdefault(entry, []).append(name)
        self._inside: dict[str, list[str]] = {}
        for target in subject.targets:
            for above in ancestors(target.path):
                self._inside.setdefault(above, []).append(target.path)

    def looked_up(self, entry: str) -> _Excluded:
        named = self._named(entry)
        if not named and _is_name(entry):
            # A bare name as a string is a whole name to PEFT; whoever writes it means its ends.
            named = self._by_end.get(entry, [])
            if not any(self._subject.modules[path].kind.adaptable for path in named):
                return _Excluded(entry, named, self._inside_of(named))
            return _Excluded(entry, (), ())
        if any(path in self._taken_out for path in named):
            return _Excluded(entry, named, ())
        return _Excluded(entry, named, self._inside_of(named))

    def _named(self, entry: str) -> list[str]:
        if isinstance(self._subject.spec.exclude_modules, str):
            pattern = Pattern(entry, Where.EXCLUDE_MODULES)
            try:
                return list(self._subject.regex.matching(pattern, self._names, whole=True))
            except SpecificationError:
                # PEFT refuses it; that is told elsewhere.
                return self._names
        return self._by_end.get(entry, [])

    def _inside_of(self, named: Sequence[str]) -> Sequence[str]:
        inside = (path for container in named for path in self._inside.get(container, ()))
        return tuple(dict.fromkeys(inside))


def _is_name(entry: str) -> bool:
    return entry.replace(".", "_").isidentifier()


def _as_regex(asked: tuple[str, ...] | str) -> str | None:
    """Return what excludes the containers with all that is inside; None if that is not known."""
    entries = _entries(asked)
    if not all(map(_is_name, entries)):
        return rf"(?:{asked})(\..*)?" if isinstance(asked, str) else None
    return _pattern_of(entries)


def _pattern_of(entries: Sequence[str]) -> str:
    names = "|".join(re.escape(entry) for entry in entries)
    return rf"(.*\.)?{names}(\..*)?" if len(entries) == 1 else rf"(.*\.)?({names})(\..*)?"


def _container(entry: _Excluded, as_regex: str | None, meant: str, is_string: bool) -> Problem:
    why = "a string must match the whole name" if is_string else "a container's name is no prefix"
    named = entry.named[0] if len(entry.named) == 1 else f"the {len(entry.named)} it names"
    return Problem(
        entry=entry.entry,
        message=(
            f"It takes out nothing: {why}, so the {len(entry.inside)} adapted modules inside "
            f"{named} stay adapted."
        ),
        hint=f"Write exclude_modules as one regular expression, a string: {meant}",
        where=Where.EXCLUDE_MODULES,
        paths=tuple(entry.inside[:MOST_PATHS]),
        edits=(Edit(Where.EXCLUDE_MODULES, None, as_regex),) if as_regex else (),
    )


RULE = Rule(
    code="LT026",
    name="exclusion-without-effect",
    severity=Severity.WARNING,
    summary="An entry of `exclude_modules` names nothing, or only a container.",
    why=(
        "PEFT asks for each targeted module whether its own name is excluded. An entry of a list "
        "must be the end of that name, a string must match all of it: `vision_tower` is the name "
        "of the container and excludes none of the linear layers inside."
    ),
    instead=r"Write one regular expression as a string: `(.*\.)?vision_tower(\..*)?`.",
    bad=Example(
        "Gemma-3-4B",
        {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["vision_tower"]},
    ),
    good=Example(
        "Gemma-3-4B",
        {
            "target_modules": ["q_proj", "v_proj"],
            "exclude_modules": r"(.*\.)?vision_tower(\..*)?",
        },
    ),
    reports=("huggingface/peft#2044",),
    needs=Needs.MATCH,
    find=find,
)
