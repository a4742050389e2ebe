"""Why named and observed roles differ where they do: one entry a finding, no entry a defect."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from result import NOTHING, Difference


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why some modules are named one thing and seen as another."""

    model_types: tuple[str, ...]
    """Patterns; the first that fits counts."""
    path: str
    """Pattern of the folded path."""
    named: str
    observed: str
    """A role, or `nothing`."""
    why: str
    """Read in the model's source."""

    def fits(self, model_type: str, difference: Difference) -> bool:
        """Whether it explains this difference."""
        return (
            (difference.named, difference.observed) == (self.named, self.observed)
            and any(fnmatchcase(model_type, pattern) for pattern in self.model_types)
            and fnmatchcase(difference.path, self.path)
        )


EXPLAINED: tuple[Explanation, ...] = ()


def explanation(model_type: str, difference: Difference) -> Explanation | None:
    """Return the first explanation that fits, or None."""
    return next((e for e in EXPLAINED if e.fits(model_type, difference)), None)


__all__ = ["EXPLAINED", "NOTHING", "Explanation", "explanation"]
