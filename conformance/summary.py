"""The sweep's figures, each counted from the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from explained import EXPLAINED, Explanation, explanation
from guarded import UNGUARDED, guarded_by_peft
from model_types import OBSERVED
from result import Dead, Difference, Pass, Result

from lorascope.roles.rule import Rule
from lorascope.roles.tables import shipped_rules

NO_CLASS_SHOWS = "checkpoint"
"""The table of names that only checkpoints have; the tests hit each of its rows."""


@dataclass(frozen=True, slots=True)
class Rate:
    """For how many model types of one kind the forward pass runs."""

    kind: str
    types: frozenset[str]
    failed: frozenset[str]
    """Types of which a class that builds does not run."""

    @property
    def share(self) -> float:
        """From 0 to 1; 1 if there are no types."""
        return 1 - len(self.failed) / len(self.types) if self.types else 1.0

    @property
    def target(self) -> float:
        """What must be reached."""
        return OBSERVED[self.kind]


@dataclass(frozen=True, slots=True)
class Summary:
    """All results, and what they come to."""

    results: tuple[Result, ...]
    seconds: float = 0.0
    """How long the sweep took."""
    processor_seconds: float = 0.0
    """How long its processes computed, added up: what others leave of the machine counts less."""
    processes: int = 1

    @property
    def types(self) -> frozenset[str]:
        """All model types."""
        return frozenset(result.case.model_type for result in self.results)

    @property
    def built(self) -> tuple[Result, ...]:
        """Classes that gave an inventory."""
        return tuple(result for result in self.results if result.failure is None)

    @property
    def built_types(self) -> frozenset[str]:
        """Model types of which at least one class gave an inventory."""
        return frozenset(result.case.model_type for result in self.built)

    @property
    def adaptable(self) -> int:
        """Adaptable modules over all classes."""
        return sum(result.adaptable for result in self.built)

    @property
    def unknown(self) -> int:
        """Adaptable modules without a role, over all classes."""
        return sum(sum(result.unknown.values()) for result in self.built)

    @property
    def unknown_in_causal_blocks(self) -> int:
        """Adaptable modules without a role inside the blocks of causal-LM classes."""
        return sum(r.unknown_in_blocks for r in self.built if r.case.auto_class == "causal LM")

    @property
    def idle_rules(self) -> tuple[Rule, ...]:
        """Rows of the role tables that gave no module its role."""
        hits: set[Rule] = set()
        for result in self.built:
            hits |= result.hits
        return tuple(
            rule for rule in shipped_rules() if rule not in hits and rule.table != NO_CLASS_SHOWS
        )

    @property
    def passes(self) -> tuple[tuple[Result, Pass], ...]:
        """Classes whose forward pass was tried, with what it showed."""
        return tuple((result, result.seen) for result in self.built if result.seen is not None)

    @property
    def rates(self) -> tuple[Rate, ...]:
        """One of each kind."""
        return tuple(self._rate(kind) for kind in OBSERVED)

    def _rate(self, kind: str) -> Rate:
        tried = [
            (r.case.model_type, p.reason(kind))
            for r, p in self.passes
            if kind in r.case.observed_as
        ]
        return Rate(
            kind,
            frozenset(model_type for model_type, _ in tried),
            frozenset(model_type for model_type, reason in tried if reason is not None),
        )

    @property
    def differences(self) -> tuple[tuple[str, Difference, Explanation | None], ...]:
        """Model type, difference and its explanation, each once."""
        found = {(r.case.model_type, d): None for r, p in self.passes for d in p.differences}
        return tuple((kind, d, explanation(kind, d)) for kind, d in found)

    @property
    def stale_explanations(self) -> tuple[Explanation, ...]:
        """Explanations of differences that are no more."""
        used = {id(explained) for _, _, explained in self.differences}
        return tuple(explained for explained in EXPLAINED if id(explained) not in used)

    @property
    def dead(self) -> tuple[tuple[str, Dead], ...]:
        """Model type and dead target, each path once: that of the type's first class with one."""
        found: dict[str, tuple[Dead, ...]] = {}
        for result in self.built:
            if result.dead:
                found.setdefault(result.case.model_type, result.dead)
        return tuple((model_type, dead) for model_type, all_ in found.items() for dead in all_)

    @property
    def dead_missed(self) -> Iterator[str]:
        """Sentences on dead targets that must be found and are not."""
        types, names = guarded_by_peft()
        found: dict[str, set[str]] = {}
        for model_type, dead in self.dead:
            found.setdefault(model_type, set()).add(dead.path.rpartition(".")[2])
        for model_type in sorted(types & self.built_types):
            for name in sorted(names - found.get(model_type, set())):
                yield f"{model_type}: PEFT refuses {name}, which was not found to be dead"
        for model_type in UNGUARDED:
            if model_type in self.built_types and model_type not in found:
                yield f"{model_type}: none of its dead targets was found"
