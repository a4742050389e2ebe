"""Why a string of targets hits nothing: the matter of exactly one rule."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lorascope.checking.eras import moved_prefixes
from lorascope.checking.missed import is_name
from lorascope.checking.subject import Subject
from lorascope.core.errors import SpecificationError
from lorascope.matching import Where
from lorascope.matching.all_linear import SHORTHAND
from lorascope.matching.bounded_regex import BoundedRegex, Pattern


class WhyPattern(StrEnum):
    """Why nothing is hit. The first that applies is taken."""

    NAMES = "names"
    """It is a name, or several, and no regular expression for whole names."""
    ERA = "era"
    """It would hit something with a prefix as this class has it."""
    UNKNOWN = "unknown"
    """None of these."""


@dataclass(frozen=True, slots=True)
class MissedPattern:
    """A string that hits nothing."""

    pattern: str
    why: WhyPattern
    instead: tuple[str, ...] = ()
    """The names in it, or the patterns that would hit something."""


_AROUND = " \t\r\n,;\"'`[](){}^$"
_BETWEEN = re.compile(r"[,;|\s]+")


def missed_pattern(subject: Subject) -> MissedPattern | None:
    """Return why the string that PEFT gets as `target_modules` hits nothing; None if it does."""
    pattern = subject.pattern
    if pattern is None or pattern.lower() == SHORTHAND or subject.match is None:
        return None
    if subject.targets or any(e.matched for e in subject.match.entries_of(Where.TARGET_MODULES)):
        return None
    names = [path for path in subject.modules if path]
    if _hits(pattern, names, subject.regex):
        return None
    words = names_in(pattern)
    if words:
        return MissedPattern(pattern, WhyPattern.NAMES, words)
    moved = tuple(each for each in moved_prefixes(pattern) if _hits(each, names, subject.regex))
    if moved:
        return MissedPattern(pattern, WhyPattern.ERA, moved)
    return MissedPattern(pattern, WhyPattern.UNKNOWN)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names that a string lists, each once; empty if it is anything but names."""
    parts = [part for each in _BETWEEN.split(text) if (part := each.strip(_AROUND))]
    return tuple(dict.fromkeys(parts)) if all(is_name(part) for part in parts) else ()


def _hits(pattern: str, names: Iterable[str], regex: BoundedRegex) -> bool:
    try:
        where = Pattern(pattern, Where.TARGET_MODULES)
        return bool(regex.matching(where, [*names], whole=True))
    except SpecificationError:
        return False
