"""The text that `lorascope adapt` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import frexp

from lorascope.core.adaptation import Adaptation, AdaptedPair, Step
from lorascope.core.numbers import counted, exact, size
from lorascope.report.fold import fold
from lorascope.report.layout import Column, Row, bullet, fields, heading, paragraph, table
from lorascope.report.lines import Line, line

_CONFIG = "adapter_config.json"
_COLUMNS = (
    Column("modules"),
    Column("count", right=True),
    Column("rank", right=True),
    Column("scale", right=True),
    Column("B times", right=True),
)


def adapt_text(done: Adaptation, width: int) -> list[Line]:
    """Lay out what was done, module group by module group."""
    adapter = done.origin.removesuffix(f"/{_CONFIG}")
    title = f"{adapter} for {done.title} ({done.version})"
    lines = [*paragraph(title, width, style="bold"), *fields(_facts(done), width), line("")]
    if done.changes:
        lines += [heading("Done" if done.directory else "To be done (-o DIR does it)")]
    else:
        does = "The copy has the same numbers" if done.directory else "Nothing is to be done"
        text = f"{does}: {done.title} computes the same with the adapter as it is."
        lines += paragraph(text, width)
    for change in done.changes:
        style = "bold red" if change.step is Step.DROPPED else ""
        lines += bullet(change.text, width, style)
    lines += [line(""), heading("Pairs of factors, before → after")]
    lines += table(_COLUMNS, list(_rows(done.pairs)), width)
    if done.changes:
        lines += [line(""), *paragraph(_rounding(done), width)]
    if done.notes:
        lines += [line(""), heading("Notes")]
        for note in done.notes:
            lines += bullet(note, width, "yellow")
    return lines


def _facts(done: Adaptation) -> Iterator[tuple[str, str]]:
    yield "base model", done.base_model
    yield "served model", done.served_model if done.served_model != done.base_model else ""
    yield "rank and alpha", f"{done.rank} and {done.alpha:g}, for all"
    tensors = f"{exact(done.tensors_before)} → {exact(done.tensors)}"
    yield "tensors", f"{tensors} ({size(done.bytes_before)} → {size(done.bytes)})"
    yield "written to", done.directory or ""


def _rows(pairs: Iterable[AdaptedPair]) -> Iterator[Row]:
    """Yield a row for all modules that fare alike."""
    groups: dict[tuple[object, ...], list[AdaptedPair]] = {}
    for pair in pairs:
        fate = (pair.rank_before, pair.rank, pair.scales_before, pair.scale, pair.factors)
        groups.setdefault(fate, []).append(pair)
    for same in groups.values():
        first = same[0]
        before = _numbers(first.scales_before)
        for pattern in fold([pair.path for pair in same]):
            yield Row(
                (
                    pattern.text if before else f"{pattern.text} (zeros)",
                    exact(pattern.count),
                    f"{first.rank_before} → {first.rank}",
                    f"{before} → {first.scale:g}" if before else f"{first.scale:g}",
                    _numbers(first.factors) if set(first.factors) - {1.0} else "",
                )
            )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _rounding(done: Adaptation) -> str:
    inexact = sum(not pair.exact for pair in done.pairs)
    if not inexact and done.rounding is None:
        return (
            "Every factor is a power of two: no number is rounded but those near the limits of "
            "their type."
        )
    if not inexact:
        powers = all(frexp(factor)[0] in (0, 0.5) for pair in done.pairs for factor in pair.factors)
        return f"No number is rounded{': every factor is a power of two' if powers else ''}."
    which = f"The numbers of {counted(inexact, 'pair')} are rounded once to their stored type"
    if done.rounding is None:
        return f"{which}."
    return f"{which}, by at most {done.rounding:.2g} of each."
