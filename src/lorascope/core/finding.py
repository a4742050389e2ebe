"""What is wrong or surprising about what was asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lorascope.core.recipe import Edit, Spot


class Severity(StrEnum):
    """How bad a finding is, the worst first. The values are the words of the JSON output."""

    ERROR = "error"
    """Training fails, learns nothing, or changes something else than asked."""
    WARNING = "warning"
    """Probably not what was meant."""
    INFO = "info"
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)

    def is_at_least(self, other: Severity) -> bool:
        """Whether it is as bad as `other` or worse."""
        return self.rank <= other.rank


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong or surprising."""

    code: str
    severity: str
    """One of the values of `Severity`."""
    entry: str
    """What was asked: the entry of the target list, the option, or the role."""
    message: str
    hint: str
    paths: tuple[str, ...] = ()
    """Modules concerned, at most a few."""
    where: str = ""
    """Field of the configuration in PEFT's words; empty if it is about no single one."""
    spot: Spot | None = None
    """Where it stands in the file; None if there is none, or it is about no single place."""
    edits: tuple[Edit, ...] = ()
    """Changes that mend it, where one answer is right; else empty."""
