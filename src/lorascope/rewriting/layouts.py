"""How routed experts and fused projections are laid out, as `layouts.toml` states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from lorascope.matching.expert_rewrite import FUSED


@dataclass(frozen=True, slots=True)
class ExpertLayout:
    """The names of single experts; the fields are explained in `layouts.toml`."""

    types: tuple[str, ...]
    gate: str
    up: str
    down: str
    holder_new: str
    holder_old: str
    interleaved: bool

    def old_holder(self, holder: str) -> str:
        """Return the path of the list of experts as transformers 4 has it."""
        if not self.holder_new:
            return holder
        start, found, end = f".{holder}.".rpartition(self.holder_new)
        return f"{start}{self.holder_old}{end}".strip(".") if found else holder

    def pieces(self, parameter: str, outputs: int) -> tuple[tuple[str, range], ...]:
        """Return the projections in one stacked parameter, each with its rows."""
        if parameter != FUSED:
            return ((self.down if parameter == "down_proj" else parameter, range(outputs)),)
        if self.interleaved:
            return (self.gate, range(0, outputs, 2)), (self.up, range(1, outputs, 2))
        half = outputs // 2
        return (self.gate, range(half)), (self.up, range(half, outputs))


@dataclass(frozen=True, slots=True)
class FusedLayout:
    """A projection whose parts lie one after the other."""

    types: tuple[str, ...]
    name: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layouts:
    """All rows of `layouts.toml`."""

    experts: tuple[ExpertLayout, ...]
    fused: tuple[FusedLayout, ...]


def expert_layout(model_type: str | None) -> ExpertLayout | None:
    """Return how single experts are named in a model type; None if that is not known."""
    return next((row for row in layouts().experts if model_type in row.types), None)


def fused_parts(model_type: str | None, name: str) -> tuple[str, ...]:
    """Return the parts of a fused projection; none if they are not known."""
    rows = (row for row in layouts().fused if model_type in row.types and row.name == name)
    return next((row.parts for row in rows), ())


@cache
def layouts() -> Layouts:
    """Return the data.

    Raises:
        ValueError: It has a key that is not in the schema, or lacks one.
    """
    import tomllib
    from importlib.resources import files

    text = files("lorascope.rewriting").joinpath("layouts.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)
    if rows.keys() != {"experts", "fused"}:
        raise ValueError(f"layouts.toml: keys {sorted(rows)}")
    return Layouts(
        tuple(ExpertLayout(**_read(row, ExpertLayout)) for row in rows["experts"]),
        tuple(FusedLayout(**_read(row, FusedLayout)) for row in rows["fused"]),
    )


def _read(row: Mapping[str, Any], form: type[ExpertLayout | FusedLayout]) -> dict[str, Any]:
    known = {field.name for field in fields(form)}
    if row.keys() != known:
        raise ValueError(f"layouts.toml: keys {sorted(row.keys() ^ known)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
