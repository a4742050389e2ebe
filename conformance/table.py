"""The sweep's results as a Markdown page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
import transformers
from guarded import UNGUARDED, guarded_by_peft
from published import CORRECTED
from result import Dead, Result
from summary import Rate, Summary

from lorascope.core.roles import Kind
from lorascope.roles.tables import shipped_rules


def page(summary: Summary) -> str:
    """Return the page."""
    return "\n".join(
        [
            "# Conformance",
            "",
            "Written by `make conformance`: every model type of the installed transformers in its"
            " main auto-classes, with its default config (save those listed below), built on the"
            " meta device, named, read in its source and, where it is a language model, run once on"
            " weightless tensors.",
            f"transformers {transformers.__version__}, torch {_torch_version()}.",
            "",
            *_totals(summary),
            *_rates(summary),
            *_corrected(summary),
            *_differences(summary),
            *_not_reached(summary),
            *_dead(summary),
            *_not_affine(summary),
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
    compared = sum(seen.compared for _, seen in summary.passes)
    agreeing = sum(seen.agreeing for _, seen in summary.passes)
    unreached = sum(sum(seen.not_reached.values()) for _, seen in summary.passes)
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
            ("rows of the role tables", len(shipped_rules())),
            ("… that gave no module its role", len(summary.idle_rules)),
            ("classes run", len(summary.passes)),
            ("attention, feed-forward and expert modules that ran", f"{compared:,}"),
            ("… whose named and observed roles agree", f"{agreeing:,}"),
            ("… that differ, explained or not", f"{compared - agreeing:,}"),
            ("such modules in these classes that no input led to", f"{unreached:,}"),
            (
                "the whole sweep took",
                f"{summary.seconds / 60:.1f} minutes in {summary.processes} processes",
            ),
            ("… of processor time", f"{summary.processor_seconds / 60:.1f} minutes"),
        ],
    )


def _rates(summary: Summary) -> Iterator[str]:
    yield from _heading("Does the forward pass run?")
    yield "A model type counts if every class of this kind that builds runs to its end with all"
    yield "its inputs; an image-text-to-text class is given text and images together. Of each"
    yield "stack only layers that differ are run; a class that does not run so is run whole."
    yield ""
    yield from _table(
        ("kind", "model types", "run", "share", "target"), map(_rate_row, summary.rates)
    )
    yield from _heading("Classes whose forward pass does not run")
    rows = [
        (r.case.model_type, r.case.cls, kind, reason)
        for r, seen in summary.passes
        for kind in r.case.observed_as
        if (reason := seen.reason(kind)) is not None
    ]
    yield from _table(("model type", "class", "kind", "reason"), rows)


def _rate_row(rate: Rate) -> tuple[object, ...]:
    ran = len(rate.types) - len(rate.failed)
    return (
        rate.kind,
        len(rate.types),
        ran,
        f"{100 * rate.share:.1f} %",
        f"{100 * rate.target:.0f} %",
    )


def _corrected(summary: Summary) -> Iterator[str]:
    yield from _heading("Model types whose default config contradicts itself")
    yield "With the defaults no image can be given; these are built with the values of a published"
    yield "checkpoint, or, where `source` says so, with the smallest change that lets them run."
    yield ""
    rows = [
        (model_type, f"`{corrected.text}`", corrected.why, corrected.source)
        for model_type, corrected in CORRECTED.items()
        if model_type in summary.types
    ]
    yield from _table(("model type", "values", "why the defaults cannot run", "source"), rows)


def _differences(summary: Summary) -> Iterator[str]:
    yield from _heading("Where names and observation differ")
    yield "`nothing`: the module ran, and the pass did not tell what it does."
    yield ""
    types: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for model_type, difference, explained in summary.differences:
        why = "" if explained is None else explained.why
        key = (f"`{difference.path}`", difference.named, difference.observed, why)
        types[key].append(model_type)
    rows = [(", ".join(found), *key) for key, found in types.items()]
    yield from _table(("model types", "module", "named", "observed", "why"), rows)


def _not_reached(summary: Summary) -> Iterator[str]:
    yield from _heading("Modules that no input led to")
    yield "Attention, feed-forward and expert modules of classes whose pass ran."
    yield ""
    rows = [
        (r.case.model_type, r.case.cls, _listed(seen.not_reached))
        for r, seen in summary.passes
        if seen.not_reached
    ]
    yield from _table(("model type", "class", "modules"), rows)


def _dead(summary: Summary) -> Iterator[str]:
    yield from _heading("Dead targets: weights that are read past their module")
    yield "LoRA on these learns nothing, or nothing on some ways through the code, such as fused"
    yield "kernels on a GPU. `found by`: the forward pass, or the source of the class. `named`:"
    yield "whether the role tables say so as well. PEFT: refused by PEFT's own list of model types."
    yield ""
    types, names = guarded_by_peft()
    rows = [
        (
            model_type,
            f"`{dead.path}`",
            dead.kind,
            ", ".join(dead.ways),
            "yes" if dead.is_named else "no",
            _mark(model_type, dead, types, names),
        )
        for model_type, dead in summary.dead
        if dead.kind != Kind.EMBEDDING
    ]
    yield from _table(("model type", "module", "kind", "found by", "named", "guard"), rows)
    yield from _heading("Embeddings whose table is read past them")
    embeddings: dict[str, list[str]] = defaultdict(list)
    for model_type, dead in summary.dead:
        if dead.kind == Kind.EMBEDDING:
            embeddings[model_type].append(f"`{dead.path}`")
    yield from _table(
        ("model type", "embeddings"), [(kind, ", ".join(all_)) for kind, all_ in embeddings.items()]
    )


def _mark(model_type: str, dead: Dead, types: frozenset[str], names: frozenset[str]) -> str:
    if model_type in types and dead.path.rpartition(".")[2] in names:
        return "PEFT refuses it"
    return "none in PEFT" if model_type in UNGUARDED else ""


def _not_affine(summary: Summary) -> Iterator[str]:
    yield from _heading("Linear classes whose output is not x·Wᵀ + b")
    found = {
        (r.case.model_type, cls, f"`{path}`")
        for r in summary.built
        for path, cls in r.not_affine.items()
    }
    yield from _table(("model type", "class", "module"), sorted(found))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"`{path}` × {count}" for path, count in counts.items())


def _unknown(summary: Summary) -> Iterator[str]:
    yield from _heading("Adaptable modules without a role")
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in summary.built:
        for path, count in result.unknown.items():
            key = (result.case.model_type, result.case.cls)
            counts[key][path] += count
    rows = [
        (model_type, cls, _listed(found)) for (model_type, cls), found in sorted(counts.items())
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
    seen = result.seen
    if seen is None:
        return ""
    if not seen.compared:
        return "not compared"
    differing = seen.compared - seen.agreeing
    return f"{f'{differing} differ' if differing else 'agrees'}, {seen.compared:,} compared"


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
