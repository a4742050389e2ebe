"""The text that `lorascope inspect` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lorascope.core.inventory import HAZARDS, Inventory, Module, is_observed
from lorascope.core.numbers import counted, exact, percent
from lorascope.core.roles import Evidence, Kind, Tower
from lorascope.report.fold import fold
from lorascope.report.inspect_rows import (
    GROUPS,
    FoldedRow,
    RowGroup,
    RowSection,
    evidence_counts,
    is_plain,
    own_params,
    sections,
    short_role,
)
from lorascope.report.layout import Column, Heading, Row, bullet, heading, paragraph, table
from lorascope.report.lines import Line, line
from lorascope.report.model_header import model_header
from lorascope.report.observed_text import observed_lines

_COLUMNS = (
    Column("role", style="cyan", label=False),
    Column("", style="yellow"),
    Column("modules"),
    Column("count", right=True),
    Column("in → out", label=False),
    Column("parameters", right=True),
    Column("share", right=True, style="dim"),
    Column("LoRA/r", right=True),
)
_NAME = 2
_MARKS = {Evidence.OBSERVED: "✓", Evidence.NAMED: "·", Evidence.UNKNOWN: "?"}
_USUAL_CLASSES = frozenset({"Linear", "Parameter"})
_MOST_PATTERNS = 3
"""Patterns quoted for one hazard before the rest is only counted."""


def inspect_text(
    inventory: Inventory, width: int, modules: Sequence[Module] | None = None
) -> list[Line]:
    """Lay out an inventory: header, modules by tower and group, sums, hazards, notes.

    Args:
        inventory: The whole model.
        width: Characters a line.
        modules: What to show of it, in model order; None for all that is no container.
    """
    shown = list(inventory.listed) if modules is None else list(modules)
    found = sections(inventory, shown)
    several_towers = len({m.tower for m in inventory.listed}) > 1
    rows: list[Row | Heading] = []
    for section in found:
        rows += _section_rows(inventory, section, titled=several_towers)
    rows += _closing_rows(inventory, found, shown)
    return [
        *model_header(inventory, width, built=True),
        line(""),
        *table(_COLUMNS, rows, width, name_column=_NAME),
        *_legend(shown, width),
        *observed_lines(inventory, shown, width),
        *_hazards(shown, width),
        *_notes(inventory, width),
    ]


def _section_rows(
    inventory: Inventory, section: RowSection, *, titled: bool
) -> Iterator[Row | Heading]:
    total = inventory.model.total_params
    if titled:
        yield Heading("")
        yield Heading(_tower_title(section.tower, inventory), "bold magenta")
    for group in section.groups:
        yield Heading("")
        yield Heading(GROUPS[group.group])
        yield from (_row(row, total) for row in group.rows)
        if len(group.rows) > 1:
            yield _sum_row(f"all of {GROUPS[group.group]}", group, total)
    if titled and len(section.groups) > 1:
        yield Heading("")
        yield _sum_row(f"all of the {_tower_name(section.tower, inventory)}", section, total)


def _tower_title(tower: Tower, inventory: Inventory) -> str:
    name = _tower_name(tower, inventory)
    if tower in inventory.model.main_towers:
        return name
    if tower is Tower.TEXT:
        return "outside the towers"
    return f"{name} (presets leave it out unless --tower {tower} asks for it)"


def _tower_name(tower: Tower, inventory: Inventory) -> str:
    if tower is Tower.PROJECTOR:
        return "projector between the towers"
    if tower is Tower.TEXT and tower not in inventory.model.main_towers:
        return "part outside the towers"
    return f"{tower} tower"


def _mark(module: Module) -> str:
    if _is_hazardous(module):
        return "!"
    return "" if is_plain(module) else _MARKS[module.evidence]


def _is_hazardous(module: Module) -> bool:
    # These two are told by the row's section and by its "=".
    return bool(set(module.hazards) - {"tied", "perception_tower"})


def _row(row: FoldedRow, total: int) -> Row:
    module = row.first
    cross = " (cross)" if module.cross_attention else ""
    cls = "" if module.cls in _USUAL_CLASSES else f"  ({module.cls})"
    tied = f"  = {row.tied_to}" if row.tied_to else ""
    return Row(
        (
            "" if is_plain(module) else f"  {short_role(module.role)}{cross}",
            _mark(module),
            f"{row.pattern or '(the model itself)'}{cls}{tied}",
            exact(row.count),
            shape_text(module),
            exact(row.params),
            percent(row.params, total),
            exact(row.lora_params_per_rank) if module.kind.adaptable else "–",
        )
    )


def shape_text(module: Module) -> str:
    """Write a module's shape as in → out, with its experts or its kernel; nothing if unknown."""
    if module.in_features is None or module.out_features is None:
        return ""
    text = f"{module.in_features} → {module.out_features}"
    if module.experts is not None:
        return f"{text} × {module.experts}"
    if module.kernel is not None:
        return f"{text}, kernel {'×'.join(map(str, module.kernel))}"
    return text


def _sum_row(words: str, sums: RowGroup | RowSection, total: int) -> Row:
    cells = (
        "",
        "",
        words,
        "",
        "",
        exact(sums.params),
        percent(sums.params, total),
        exact(sums.lora_params_per_rank),
    )
    return Row(cells, "dim")


def _closing_rows(
    inventory: Inventory, found: Sequence[RowSection], shown: Sequence[Module]
) -> Iterator[Row | Heading]:
    total = inventory.model.total_params
    listed = sum(section.params for section in found)
    own = own_params(inventory)
    shown_paths = {module.path for module in shown}
    containers = sum(own[m.path] for m in inventory.modules if m.kind is Kind.CONTAINER)
    hidden = sum(own[m.path] for m in inventory.listed if m.path not in shown_paths)
    yield Heading("")
    if hidden:
        yield _plain_row("left out by the options", hidden, total)
    if containers and not any(m.kind is Kind.CONTAINER for m in shown):
        yield _plain_row(
            "norms, bare parameters and others outside the rows above", containers, total
        )
    lora = sum(section.lora_params_per_rank for section in found)
    numbers = (exact(total), percent(total, total), exact(lora))
    yield Row(("", "", "total", "", "", *numbers), "bold")
    missing = total - listed - hidden - containers
    if missing and not any(m.kind is Kind.CONTAINER for m in shown):
        yield Heading(f"{counted(missing, 'parameter')} of the total are in no module", "yellow")


def _plain_row(words: str, params: int, total: int) -> Row:
    return Row(("", "", words, "", "", exact(params), percent(params, total), ""), "dim")


def _legend(shown: Sequence[Module], width: int) -> list[Line]:
    counts = evidence_counts(shown)
    known = {
        Evidence.OBSERVED: "observed in a forward pass",
        Evidence.NAMED: "by a name rule",
        Evidence.UNKNOWN: "unknown",
    }
    parts = [
        f"{_MARKS[evidence]} {words} ({exact(counts[evidence])})"
        for evidence, words in known.items()
        if counts[evidence]
    ]
    if any(_is_hazardous(module) for module in shown):
        parts.append("! with a hazard, see below")
    text = "Roles: " + ", ".join(parts) + ". LoRA/r: LoRA parameters of the row for each unit of r."
    return [line(""), *paragraph(text, width, style="dim")] if parts else []


def _hazards(shown: Iterable[Module], width: int) -> list[Line]:
    by_code: dict[str, list[Module]] = {}
    for module in shown:
        for code in module.hazards:
            if code != "perception_tower":  # which the row's section tells
                by_code.setdefault(code, []).append(module)
    if not by_code:
        return []
    lines = [line(""), heading("Hazards")]
    for code, modules in by_code.items():
        patterns = [pattern.text for pattern in fold(module.path for module in modules)]
        quoted = ", ".join(patterns[:_MOST_PATTERNS])
        more = len(patterns) - _MOST_PATTERNS
        rest = f" and {counted(more, 'more pattern')}" if more > 0 else ""
        meaning = HAZARDS.get(code, code)
        count = f"{exact(len(modules))}{_seen(code, modules)}"
        lines += bullet(f"{code} ({count}): {meaning}: {quoted}{rest}", width, "yellow")
    return lines


def _seen(code: str, modules: Sequence[Module]) -> str:
    """Whether the forward pass showed a hazard, or how many of these modules it showed it of."""
    count = sum(1 for module in modules if is_observed(code, module))
    if not count:
        return ""
    return ", observed" if count == len(modules) else f", {exact(count)} of them observed"


def _notes(inventory: Inventory, width: int) -> list[Line]:
    if not inventory.model.notes:
        return []
    lines = [line(""), heading("Notes")]
    for note in inventory.model.notes:
        lines += bullet(note, width)
    return lines
