"""The text that `lorascope plan --compare` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.core.inventory import Inventory
from lorascope.core.numbers import exact, percent, plain, size
from lorascope.core.plan import Plan
from lorascope.report.byte_units import byte_text
from lorascope.report.layout import Column, Row, bullet, fields, fits, heading, table
from lorascope.report.lines import Line, line
from lorascope.report.memory_text import setup_text
from lorascope.report.model_header import model_header
from lorascope.report.plan_text import findings_text
from lorascope.report.plot_points import plot_points
from lorascope.report.plot_text import plot_text
from lorascope.serving.engines import engines

_COLUMNS = (
    Column("preset", style="bold cyan"),
    Column("modules", right=True),
    Column("r"),
    Column("trainable", right=True),
    Column("of model", right=True, style="dim"),
    Column("adapted", right=True),
    Column("adapter file", right=True),
)
_MEMORY_COLUMNS = (
    Column("peak memory", right=True, style="cyan"),
    Column("kept a token", right=True),
)
_ROLES = Column("roles", style="dim")


def compare_text(
    plans: Sequence[Plan],
    inventory: Inventory,
    width: int,
    noted: str = "",
    serve: Sequence[str] = (),
) -> list[Line]:
    """Lay out plans for one model side by side: parameters, share of the weights, file size.

    Where memory was predicted, its peak and what is kept for each token are columns too, and a
    small plot follows.

    Args:
        plans: One a row; one without targets is a row that this model cannot have.
        inventory: The model.
        width: Characters a line.
        noted: Name of the row whose advice is shown below the table.
        serve: Names of the engines that serve each row as it is trained.
    """
    findings = dict.fromkeys(finding for plan in plans for finding in plan.findings)
    notes = [note for plan in plans if plan.preset == noted for note in plan.advice]
    lines = [
        *model_header(inventory, width),
        *fields(_serving(serve), width),
        line(""),
        *_side_by_side(plans, width),
        *_memory(plans, width),
        *findings_text(findings, width),
    ]
    if notes:
        lines += [line(""), heading("Notes")]
        for note in notes:
            lines += bullet(note.text, width)
    return lines


def _serving(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    if names:
        known = (engines()[name] for name in names)
        titles = ", ".join(f"{engine.title} {engine.version}" for engine in known)
        yield "served by ", f"{titles}; what was changed for that is in the findings"


def _side_by_side(plans: Sequence[Plan], width: int) -> list[Line]:
    """Lay the table out with the roles beside the numbers, or below where the width is short."""
    with_memory = any(plan.memory is not None for plan in plans)
    numbers = (*_COLUMNS, *_MEMORY_COLUMNS) if with_memory else _COLUMNS
    rows = [Row((*_counts(p), *(_memory_cells(p) if with_memory else ()))) for p in plans]
    columns = (*numbers, _ROLES)
    with_roles = [Row((*row.cells, _roles(p))) for row, p in zip(rows, plans, strict=True)]
    if fits(columns, with_roles, width):
        return table(columns, with_roles, width)
    return [
        *table(numbers, rows, width),
        line(""),
        heading("Roles"),
        *fields([(plan.preset, _roles(plan)) for plan in plans], width),
    ]


def _counts(plan: Plan) -> tuple[str, ...]:
    if _is_impossible(plan):
        return (plan.preset, "–", "", "", "", "", "")
    total = plan.model.total_params
    ranks = sorted({target.rank for target in plan.targets}, reverse=True)
    return (
        plan.preset,
        exact(len(plan.targets)),
        ", ".join(map(str, ranks)),
        exact(plan.trainable_params),
        percent(plan.trainable_params, total),
        percent(plan.covered_params, total),
        size(plan.adapter_bytes),
    )


def _memory_cells(plan: Plan) -> tuple[str, str]:
    if plan.memory is None:
        return ("", "")
    return (byte_text(plan.memory.peak_bytes), byte_text(plan.memory.kept_bytes_per_token))


def _memory(plans: Sequence[Plan], width: int) -> list[Line]:
    """Say how the step is run, what is in no peak, and draw the plot."""
    memories = [plan.memory for plan in plans if plan.memory is not None]
    if not memories:
        return []
    step = f"one training step of {setup_text(memories[0].setup)}"
    least, most = (bound(m.overhead_bytes for m in memories) for bound in (min, max))
    overhead = byte_text(least) if least == most else f"{byte_text(least)} to {byte_text(most)}"
    pairs = [
        ("memory", step),
        ("dropout", _dropouts(plans)),
        ("overhead", f"{overhead} more: an estimate, in no peak above" if most else ""),
    ]
    lines = [line(""), *fields(pairs, width)]
    plot = plot_text(plot_points(plans), width)
    return [*lines, line(""), *plot] if plot else lines


def _dropouts(plans: Sequence[Plan]) -> str:
    """Say which plans have another dropout, which keeps a copy of each target's input.

    Empty if all have the same.
    """
    names: dict[float, list[str]] = {}
    for plan in plans:
        if plan.memory is not None:
            names.setdefault(plan.adapter_config.get("lora_dropout", 0.0), []).append(plan.preset)
    if len(names) < 2:
        return ""
    usual = max(names, key=lambda dropout: len(names[dropout]))
    others = (f"{plain(d)} for {', '.join(found)}" for d, found in names.items() if d != usual)
    return f"{plain(usual)}; {'; '.join(others)}"


def _roles(plan: Plan) -> str:
    """Write the roles with each group named once: `attention.q, v; ffn.down`."""
    if _is_impossible(plan):
        return "see findings"
    groups: dict[str, list[str]] = {}
    for target in plan.targets:
        group, dot, rest = target.role.value.partition(".")
        kept = groups.setdefault(group + dot, [])
        if rest not in kept:
            kept.append(rest)
    return "; ".join(f"{group}{', '.join(rest)}" for group, rest in groups.items())


def _is_impossible(plan: Plan) -> bool:
    return not plan.targets and not plan.trainable_params
