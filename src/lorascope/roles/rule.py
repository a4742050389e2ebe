"""One name rule: a pattern over path parts, the role it gives, and where the name is from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING

from lorascope.core.roles import Kind, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lorascope.core.inventory import Module

LINEAR_LIKE = frozenset({Kind.LINEAR, Kind.CONV1D, Kind.NOT_ADAPTABLE})
"""Kinds that a row without `kind` speaks of: linears, and what takes their place."""

WILDCARDS = frozenset("*?[")

NUMBER = "#"
"""A part of a pattern that stands for any number."""

_DIGITS = re.compile("[0-9]+")


@dataclass(frozen=True)
class Rule:
    """One row of a role table. A constraint that is empty is none."""

    table: str
    """Name of the table's file without its ending."""
    pattern: str
    """Globs for the last parts of a path, joined by dots: `self_attn.q_proj`, `experts.#.w1`.

    `#` stands for any number, as in the children of a list.
    """
    role: Role
    source: str
    """Where the name is from: model type and class of transformers, or a document."""
    kinds: frozenset[Kind] = LINEAR_LIKE
    parents: tuple[str, ...] = ()
    """Globs for the class of the module that holds it."""
    classes: tuple[str, ...] = ()
    """Globs for the class of the module itself."""
    model_types: tuple[str, ...] = ()
    """Globs for the model type of the whole model."""
    family: bool = False
    """True in a family's table, whose rows win over generic ones."""
    hazards: tuple[str, ...] = ()
    """Hazard codes that hold for every module this row hits."""

    @property
    def name(self) -> str:
        """How the inventory cites it: `table:pattern`."""
        return f"{self.table}:{self.pattern}"

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The pattern's parts, last one last."""
        return tuple(self.pattern.split("."))

    @cached_property
    def rank(self) -> tuple[bool, int, int]:
        """Which of two rows that both match wins: the greater rank, so the more specific row."""
        constraints = (self.parents, self.classes, self.model_types)
        return (self.family, len(self.parts), sum(map(bool, constraints)))

    def matches(self, parts: tuple[str, ...], module: Module, parent: str, model_type: str) -> bool:
        """Whether this row speaks of `module`.

        Args:
            parts: The module's path, split at its dots.
            module: The module itself; its kind and class are asked.
            parent: Class of the module that holds it; empty if it is not known.
            model_type: Model type of the whole model; empty if it is not known.
        """
        return (
            module.kind in self.kinds
            and self._fits(parts)
            and _among(self._parents, parent)
            and _among(self._classes, module.cls)
            and _among(self._model_types, model_type)
        )

    def _fits(self, parts: tuple[str, ...]) -> bool:
        depth = len(self._matchers)
        return len(parts) >= depth and all(
            part == matcher if isinstance(matcher, str) else matcher.fullmatch(part) is not None
            for part, matcher in zip(parts[-depth:], self._matchers, strict=True)
        )

    @cached_property
    def _matchers(self) -> tuple[str | re.Pattern[str], ...]:
        return tuple(_part_matcher(part) for part in self.parts)

    @cached_property
    def _parents(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_glob, self.parents))

    @cached_property
    def _classes(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_glob, self.classes))

    @cached_property
    def _model_types(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_glob, self.model_types))


def has_wildcard(part: str) -> bool:
    """Whether a part of a pattern is a glob and no plain name."""
    return not WILDCARDS.isdisjoint(part)


def _part_matcher(part: str) -> str | re.Pattern[str]:
    if part == NUMBER:
        return _DIGITS
    return _glob(part) if has_wildcard(part) else part


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _among(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return not patterns or any(pattern.match(text) for pattern in patterns)
