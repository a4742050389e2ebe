"""What a path says about the place of a module, read from `context.toml` with a closed schema."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from importlib.resources import files
from typing import Any

from lorascope.core.roles import Tower
from lorascope.roles.tables import RoleTableError

_KEYS: Mapping[str, frozenset[str]] = {
    "tower": frozenset({"parts", "tower", "source"}),
    "body": frozenset({"model_types", "tower", "source"}),
    "stage": frozenset({"outer", "inner", "source"}),
    "cross_attention": frozenset({"parts", "source"}),
}


@dataclass(frozen=True, slots=True)
class Context:
    """The rows of `context.toml`, ready to be asked."""

    tower_of_part: Mapping[str, Tower]
    """Part of a path → tower of everything below it."""
    body_towers: tuple[tuple[re.Pattern[str], Tower], ...]
    """Glob over model types → tower of a body without a token embedding."""
    stages: Mapping[str, frozenset[str]]
    """Name of a list of stages → what leads from a stage to its blocks ("" for a list of lists)."""
    cross_attention_parts: frozenset[str]
    """Parts of a path below which attention is cross-attention."""


@cache
def shipped_context() -> Context:
    """Read the `context.toml` that comes with lorascope."""
    return parse_context((files("lorascope.roles") / "context.toml").read_text("utf-8"))


def parse_context(text: str) -> Context:
    """Parse a context file.

    Raises:
        RoleTableError: It breaks the schema; the message names the row.
    """
    rows: dict[str, list[dict[str, Any]]] = tomllib.loads(text)
    for section in rows:
        if section not in _KEYS:
            raise RoleTableError(f"Context file: unknown section {section}.")
        for number, row in enumerate(rows[section], start=1):
            _check_row(section, number, row)
    stages: dict[str, frozenset[str]] = {}
    for row in rows.get("stage", []):
        stages[row["outer"]] = stages.get(row["outer"], frozenset()) | frozenset(row["inner"])
    return Context(
        tower_of_part={
            part: Tower(row["tower"]) for row in rows.get("tower", []) for part in row["parts"]
        },
        body_towers=tuple(
            (re.compile(translate(glob)), Tower(row["tower"]))
            for row in rows.get("body", [])
            for glob in row["model_types"]
        ),
        stages=stages,
        cross_attention_parts=frozenset(
            part for row in rows.get("cross_attention", []) for part in row["parts"]
        ),
    )


def _check_row(section: str, number: int, row: Mapping[str, Any]) -> None:
    where = f"Context file, {section} row {number}"
    wrong = sorted(row.keys() ^ _KEYS[section])
    if wrong:
        raise RoleTableError(
            f"{where} has unknown or missing key {', '.join(wrong)}.",
            f"It needs exactly: {', '.join(sorted(_KEYS[section]))}.",
        )
    if not str(row["source"]).strip():
        raise RoleTableError(f"{where} has an empty source.")
    if "tower" in row and row["tower"] not in list(Tower):
        raise RoleTableError(
            f"{where}: unknown tower {row['tower']!r}.", f"Known: {', '.join(Tower)}."
        )
