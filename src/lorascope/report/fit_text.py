"""What was given up so that a plan fits its budget, as text."""

from __future__ import annotations

from lorascope.core.fit import Fit, Step
from lorascope.core.numbers import counted, exact
from lorascope.report.byte_units import byte_text
from lorascope.report.layout import Column, Row, bullet, fields, heading, table
from lorascope.report.lines import Line, line

_COLUMNS = (
    Column("given up", style="cyan", label=False),
    Column("asked"),
    Column("now"),
    Column("needs then", right=True),
)


def fit_text(fit: Fit, max_memory: int | None, width: int) -> list[Line]:
    """Lay out how a plan came to fit: what it needs of the budget, and each thing given up.

    Why each was given up stands with its ground among the plan's advice. Returns nothing where no
    budget of memory was given.
    """
    if max_memory is None or fit.plan.memory is None:
        return []
    needed = fit.plan.memory.peak_bytes + fit.plan.memory.overhead_bytes
    pairs = [
        (
            "needs",
            f"{byte_text(needed)} of {byte_text(max_memory)}, peak and overhead together;"
            f" {byte_text(max_memory - needed)} left",
        ),
        ("accumulate", _accumulation(fit)),
        ("tried", counted(len(fit.tried), "plan") if fit.tried else ""),
    ]
    lines = [line(""), heading("Made to fit"), *fields(pairs, width)]
    if fit.steps:
        rows = [Row(_cells(step)) for step in fit.steps]
        return [*lines, line(""), *table(_COLUMNS, rows, width)]
    return [*lines, *bullet("Nothing had to be given up.", width)]


def _cells(step: Step) -> tuple[str, ...]:
    needed = "" if step.needed_bytes is None else byte_text(step.needed_bytes)
    return (step.trade, step.before or "–", step.after or "–", needed)


def _accumulation(fit: Fit) -> str:
    if fit.accumulation == 1:
        return ""
    return (
        f"{exact(fit.accumulation)} batches for one optimizer step, to see as many tokens as asked"
    )
