"""LT005: a regular expression as an item of a list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from lorascope.checking.missed import Why, missed_targets, patterns_meant
from lorascope.checking.naming import endings
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import shown
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit, Tool
from lorascope.matching import Where
from lorascope.matching.bounded_regex import Pattern

_MOST = 20
"""Entries told of one by one; each is matched against all names."""
_SIGNS = re.compile(r"\.[*+]|\\[.dw]|\|")
"""What no name holds and hardly anything but a regular expression does."""
_AS_PATTERN: Mapping[Tool, str] = {
    Tool.PEFT: "as one string instead of a list",
    Tool.AXOLOTL: "as one string instead of a list",
    Tool.MS_SWIFT: "with target_regex",
}
"""How a tool takes a regular expression; those left out take none."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries of a list that would hit something as regular expressions."""
    if subject.pattern is not None:
        return
    if subject.inventory is None:
        if subject.recipe.tool in _AS_PATTERN:
            yield from _by_text(subject)
        return
    patterns = (each for each in missed_targets(subject) if each.why is Why.REGEX)
    for missed in islice(patterns, _MOST):
        yield _problem(subject, missed.entry.entry)


def _by_text(subject: Subject) -> Iterator[Problem]:
    for entry in subject.list_targets:
        if _SIGNS.search(entry):
            yield Problem(
                entry=entry,
                message="PEFT takes the entries of a list as they stand; no name has such signs.",
                hint="List names, or give the regular expression " + _how(subject),
                where=Where.TARGET_MODULES,
            )


def _problem(subject: Subject, entry: str) -> Problem:
    pattern, paths = _as_pattern(subject, entry)
    hit = [subject.modules[path] for path in paths]
    named = frozenset(paths)
    names = endings(hit, (m for m in subject.modules.values() if m.path not in named and m.path))
    said = [f"List {shown(names)} instead."] if names else []
    if subject.recipe.tool in _AS_PATTERN:
        said.append(f"{'Or give' if said else 'Give'} the regular expression {_how(subject)}")
    return Problem(
        entry=entry,
        message=(
            "PEFT takes the entries of a list as they stand, so this regular expression hits "
            f"nothing; as one it would hit {len(paths)} modules."
        ),
        hint=" ".join(said) or "List full names.",
        where=Where.TARGET_MODULES,
        paths=tuple(paths),
        edits=_edits(subject, entry, pattern, names),
    )


def _how(subject: Subject) -> str:
    way = _AS_PATTERN.get(subject.recipe.tool, "to PEFT as a string")
    return f"{way}; it must then match whole names, all that is wanted in one."


def _edits(subject: Subject, entry: str, pattern: str, names: Sequence[str]) -> tuple[Edit, ...]:
    """Return the string if it is the only entry and PEFT gets it as it is; else none."""
    if subject.list_targets != (entry,):
        return ()
    if subject.recipe.tool in (Tool.PEFT, Tool.AXOLOTL):
        return (Edit(Where.TARGET_MODULES, None, pattern),)
    return (Edit(Where.TARGET_MODULES, entry, tuple(names)),) if names else ()


def _as_pattern(subject: Subject, entry: str) -> tuple[str, tuple[str, ...]]:
    """Return the entry as a pattern for whole names, and what that matches."""
    names = [path for path in subject.modules if path]
    for pattern in patterns_meant(entry):
        try:
            found = subject.regex.matching(
                Pattern(pattern, Where.TARGET_MODULES), names, whole=True
            )
        except UnmodelledError:
            raise
        except SpecificationError:
            continue
        if found:
            return pattern, tuple(found)
    return entry, ()


RULE = Rule(
    code="LT005",
    name="regex-in-list",
    severity=Severity.ERROR,
    summary="An entry of a list is written as a regular expression.",
    why=(
        "PEFT reads only a string as a regular expression. In a list each entry is a name or the "
        "end of one, taken literally: `model.layers.[0-9]+.self_attn.q_proj` in a list matches "
        "nothing, and beside an entry that does it is skipped without a word."
    ),
    instead="List names, or write one regular expression for all as a string.",
    bad=Example("Llama-3.1-8B", {"target_modules": [r".*\.self_attn\.(q|v)_proj"]}),
    good=Example("Llama-3.1-8B", {"target_modules": r".*\.self_attn\.(q|v)_proj"}),
    reports=("huggingface/peft#2964",),
    needs=Needs.CONFIG,
    find=find,
)
