"""The table of what is adapted, for a plan and for what a configuration hits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorascope.core.numbers import exact, plain
from lorascope.report.fold import fold
from lorascope.report.layout import Column, Heading, Row, table
from lorascope.report.lines import Line
from lorascope.report.role_order import role_place

_COLUMNS = (
    Column("role", style="cyan", label=False),
    Column("modules"),
    Column("count", right=True),
    Column("r", right=True),
    Column("alpha", right=True),
    Column("scale", right=True),
    Column("parameters", right=True),
)
_BY = Column("by", style="dim")
_NAME = 1


@dataclass(frozen=True, slots=True)
class Traits:
    """What all targets of one row have in common."""

    role: str
    """Empty where a target is no entry of the inventory."""
    rank: int
    alpha: float
    scale: float
    """Factor of the adapter's output: alpha/r, or alpha/√r with rsLoRA."""
    params: int
    """LoRA parameters of one target."""
    by: str = ""
    """Why it is adapted; shown in a column of its own where any target says so."""
    apart: str = ""
    """Keeps targets that are otherwise alike in rows of their own; not shown."""


def targets_table(targets: Iterable[tuple[str, Traits]], width: int) -> list[Line]:
    """Lay out full names with their traits, like ones folded into one row, with the sum."""
    alike: dict[Traits, list[str]] = {}
    for path, traits in targets:
        alike.setdefault(traits, []).append(path)
    explained = any(traits.by for traits in alike)
    rows: list[Row | Heading] = []
    for traits, paths in _ordered(alike):
        for pattern in fold(paths):
            cells = (
                traits.role,
                pattern.text,
                exact(pattern.count),
                str(traits.rank),
                plain(traits.alpha),
                f"{traits.scale:.4g}",
                exact(traits.params * pattern.count),
            )
            rows.append(Row((*cells, traits.by) if explained else cells))
    count = sum(map(len, alike.values()))
    params = sum(traits.params * len(paths) for traits, paths in alike.items())
    total = ("", "total", exact(count), "", "", "", exact(params))
    rows.append(Row((*total, "") if explained else total, "bold"))
    columns = (*_COLUMNS, _BY) if explained else _COLUMNS
    return table(columns, rows, width, name_column=_NAME)


def _ordered(alike: Mapping[Traits, list[str]]) -> list[tuple[Traits, list[str]]]:
    """Sort the rows by role inside what is kept apart and inside a group; these stay in order."""
    groups = list(dict.fromkeys((traits.apart, _group(traits.role)) for traits in alike))
    place = {group: index for index, group in enumerate(groups)}
    return sorted(
        alike.items(),
        key=lambda each: (place[each[0].apart, _group(each[0].role)], role_place(each[0].role)),
    )


def _group(role: str) -> str:
    return role.partition(".")[0]
