"""What the sweep found out about one class, as plain values that pass between processes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from model_types import Case

from lorascope.roles.rule import Rule

IMAGE_AND_TEXT = "image-text-to-text"
"""The kind of class that must run with images."""

NOTHING = "nothing"
"""In place of a role: the pass ran the module and did not tell what it does."""


def fold(path: str) -> str:
    """Replace every number in a path by `#`, so that like layers fall together."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "#", path)


class Way(StrEnum):
    """How a dead target was found."""

    PASS = "pass"  # noqa: S105 - no password
    SOURCE = "source"
    SOURCE_SOMETIMES = "source, on some ways"


@dataclass(frozen=True, slots=True)
class Difference:
    """Modules whose name says one role and whose forward pass another."""

    path: str
    """Folded: every number is `#`."""
    named: str
    observed: str
    """A role, or `NOTHING`."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Modules whose weight is read although, at least on some way, their forward never runs."""

    path: str
    """Folded."""
    kind: str
    ways: tuple[Way, ...]
    is_named: bool
    """Whether the role tables say so too."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the forward pass of one class showed."""

    seconds: float = 0.0
    failure: str | None = None
    """Why it did not run; None if it ran."""
    lacking: str | None = None
    """What a pass over text and images together lacked; None if nothing, or none was asked."""
    compared: int = 0
    """Attention, feed-forward and expert modules that ran."""
    agreeing: int = 0
    differences: tuple[Difference, ...] = ()
    not_reached: Mapping[str, int] = field(default_factory=dict)
    """Folded path → how many such modules no input led to."""

    def reason(self, kind: str) -> str | None:
        """Return why it does not count as running for this kind of class; None if it does."""
        return self.failure or (self.lacking if kind == IMAGE_AND_TEXT else None)


@dataclass(frozen=True, slots=True)
class Result:
    """What the sweep found out about one class."""

    case: Case
    failure: str | None = None
    """Why it could not be built; None if it was."""
    modules: int = 0
    adaptable: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Folded path → how many adaptable modules without a role."""
    unknown_in_blocks: int = 0
    hits: frozenset[Rule] = frozenset()
    """Rows of the role tables that gave a role here."""
    ambiguous: frozenset[str] = frozenset()
    """Paths for which two equally specific rows give different roles."""
    dead: tuple[Dead, ...] = ()
    not_affine: Mapping[str, str] = field(default_factory=dict)
    """Folded path → class of a linear module whose output is not x·Wᵀ + b."""
    seen: Pass | None = None
    """None if the class is of no kind that is run."""
