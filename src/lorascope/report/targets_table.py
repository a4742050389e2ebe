"""The table of what is adapted, for a plan and for what a configuration hits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lorascope.core.numbers import exact, plain
from lorascope.report.fold import fold
from lorascope.report.layout import Column, Heading, Row, table
from lorascope.report.lines import Line
from lorascope.report.role_order import role_place

COLUMNS = (
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
Key = TypeVar("Key")


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
    for traits, paths in in_role_order(alike, lambda traits: traits):
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
    columns = (*COLUMNS, _BY) if explained else COLUMNS
    return table(columns, rows, width, name_column=_NAME)


def in_role_order(
    alike: Mapping[Key, list[str]], traits_of: Callable[[Key], Traits]
) -> list[tuple[Key, list[str]]]:
    """Sort rows by role inside what is kept apart and inside a group; these stay in order.

    Args:
        alike: Full names of each row, by what they have in common.
        traits_of: Of which the role and what is kept apart count.
    """

    def group(key: Key) -> tuple[str, str]:
        traits = traits_of(key)
        return traits.apart, _group(traits.role)

    place = {each: index for index, each in enumerate(dict.fromkeys(map(group, alike)))}
    return sorted(
        alike.items(),
        key=lambda each: (place[group(each[0])], role_place(traits_of(each[0]).role)),
    )


def _group(role: str) -> str:
    return role.partition(".")[0]
