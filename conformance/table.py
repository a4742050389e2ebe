"""The sweep's results as a Markdown page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import transformers
from measure import OBSERVED, Difference, Result

from lorascope.roles.rule import Rule
from lorascope.roles.tables import shipped_rules

NO_CLASS_SHOWS = "checkpoint"
"""The table of names that only checkpoints have; the tests hit each of its rows."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The sweep's figures, each counted from the results."""

    results: tuple[Result, ...]

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
        return sum(r.unknown_in_blocks for r in self.built if r.case.auto_class == OBSERVED)

    @property
    def causal(self) -> tuple[Result, ...]:
        """Causal-LM classes that gave an inventory."""
        return tuple(result for result in self.built if result.case.auto_class == OBSERVED)

    @property
    def observed(self) -> tuple[Result, ...]:
        """Causal-LM classes whose attention was observed."""
        return tuple(result for result in self.causal if result.attentions)

    @property
    def agreeing(self) -> tuple[Result, ...]:
        """Observed classes without a difference between names and observation."""
        return tuple(result for result in self.observed if not result.differences)

    @property
    def idle_rules(self) -> tuple[Rule, ...]:
        """Rows of the role tables that gave no module its role."""
        hits: set[Rule] = set()
        for result in self.built:
            hits |= result.hits
        return tuple(
            rule for rule in shipped_rules() if rule not in hits and rule.table != NO_CLASS_SHOWS
        )


def page(summary: Summary, explained: Mapping[tuple[str, str], str]) -> str:
    """Return the page.

    Args:
        summary: The sweep's results.
        explained: (model type, folded path) → why its named and observed roles differ.
    """
    return "\n".join(
        [
            "# Conformance",
            "",
            "Written by `make conformance`: every model type of the installed transformers in its"
            " main auto-classes, with its default config, built on the meta device.",
            f"transformers {transformers.__version__}, torch {_torch_version()}.",
            "",
            *_totals(summary),
            *_differences(summary, explained),
            *_unobserved(summary),
            *_unreached(summary),
            *_dead(summary),
            *_unknown(summary),
            *_not_built(summary),
            *_per_type(summary),
            "",
        ]
    )


def _torch_version() -> str:
    return str(torch.__version__).partition("+")[0]


def _totals(summary: Summary) -> Iterator[str]:
    share = 100 * summary.unknown / max(summary.adaptable, 1)
    yield from _table(
        ("", "count"),
        [
            ("model types", len(summary.types)),
            ("model types with an inventory", len(summary.built_types)),
            ("classes walked", len(summary.results)),
            ("classes with an inventory", len(summary.built)),
            ("adaptable modules in them", f"{summary.adaptable:,}"),
            ("adaptable modules without a role", f"{summary.unknown:,} ({share:.2f} %)"),
            ("… of these in blocks of a causal LM", summary.unknown_in_causal_blocks),
            ("causal-LM classes", len(summary.causal)),
            ("… whose attention was observed", len(summary.observed)),
            ("… in which names and observation agree on every module", len(summary.agreeing)),
            ("modules compared", f"{sum(r.compared for r in summary.observed):,}"),
            ("rows of the role tables", len(shipped_rules())),
            ("… that gave no module its role", len(summary.idle_rules)),
        ],
    )


def _differences(summary: Summary, explained: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield from _heading("Where names and observation differ")
    rows = [
        (
            result.case.model_type,
            f"`{difference.path}`",
            difference.named,
            difference.observed,
            explained.get((result.case.model_type, difference.path), ""),
        )
        for result in summary.observed
        for difference in result.differences
    ]
    yield from _table(("model type", "module", "named", "observed", "why"), rows)


def _unobserved(summary: Summary) -> Iterator[str]:
    yield from _heading("Causal LMs that could not be observed")
    rows = [(r.case.model_type, r.unobserved) for r in summary.causal if not r.attentions]
    yield from _table(("model type", "reason"), rows)


def _unreached(summary: Summary) -> Iterator[str]:
    yield from _heading("Attention modules that took part in no attention seen")
    rows = [
        (result.case.model_type, ", ".join(f"`{path}`" for path in sorted(result.unreached)))
        for result in summary.observed
        if result.unreached
    ]
    yield from _table(("model type", "modules"), rows)


def _dead(summary: Summary) -> Iterator[str]:
    yield from _heading("Modules whose weight is read although their forward never runs")
    yield "LoRA on these learns nothing. `named` says whether the role tables mark them so."
    yield ""
    rows = [
        (r.case.model_type, f"`{path}`", "no" if path in r.dead_unnamed else "yes")
        for r in summary.causal
        for path in sorted(r.dead)
    ]
    yield from _table(("model type", "module", "named"), rows)


def _unknown(summary: Summary) -> Iterator[str]:
    yield from _heading("Adaptable modules without a role")
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in summary.built:
        for path, count in result.unknown.items():
            key = (result.case.model_type, result.case.cls)
            counts[key][path] += count
    rows = [
        (model_type, cls, ", ".join(f"`{path}` × {count}" for path, count in found.items()))
        for (model_type, cls), found in sorted(counts.items())
    ]
    yield from _table(("model type", "class", "modules"), rows)


def _not_built(summary: Summary) -> Iterator[str]:
    yield from _heading("Model types without an inventory")
    first: dict[str, Result] = {}
    for result in summary.results:
        if result.case.model_type not in summary.built_types:
            first.setdefault(result.case.model_type, result)
    yield from _table(
        ("model type", "class", "reason"),
        [(model_type, r.case.cls, r.failure) for model_type, r in first.items()],
    )


def _per_type(summary: Summary) -> Iterator[str]:
    yield from _heading("Every model type")
    yield "The first of its auto-classes that builds."
    yield ""
    first: dict[str, Result] = {}
    for result in summary.built:
        first.setdefault(result.case.model_type, result)
    rows = [
        (
            model_type,
            result.case.auto_class,
            result.case.cls,
            f"{result.modules:,}",
            f"{result.adaptable:,}",
            sum(result.unknown.values()),
            _observed_cell(result),
        )
        for model_type, result in first.items()
    ]
    yield from _table(
        ("model type", "auto-class", "class", "modules", "adaptable", "unknown", "observed"), rows
    )


def _observed_cell(result: Result) -> str:
    if not result.attentions:
        return ""
    seen = f"{len(result.differences)} differ" if result.differences else "agrees"
    return f"{seen}, {result.compared:,} compared"


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"## {text}"
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    listed = list(rows)
    if not listed:
        yield "None."
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in listed:
        yield f"| {' | '.join(_cell(value) for value in row)} |"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|")


__all__ = ["Difference", "Summary", "page"]
