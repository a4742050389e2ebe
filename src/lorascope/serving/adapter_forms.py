"""How serving engines want the tensors of an adapter, as `adapter_forms.toml` states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Any

from lorascope.serving.facts import ModelClass


class Experts(StrEnum):
    """How the factors of routed experts are stored."""

    SINGLE = "single"
    """One pair for each projection of each expert: `experts.3.gate_proj.lora_A.weight`."""
    STACKED = "stacked"
    """One pair for each expert parameter, as PEFT stores it on transformers 5."""
    NONE = "none"
    """Not at all: the engine adapts no experts."""


@dataclass(frozen=True, slots=True)
class Together:
    """Names beside each other that an engine joins."""

    any: frozenset[str]
    """Where one of these is adapted, …"""
    all: tuple[str, ...]
    """… all of these have to be."""


@dataclass(frozen=True, slots=True)
class AdapterForm:
    """What one engine wants; the fields are explained in `adapter_forms.toml`."""

    source: tuple[str, ...]
    experts: Experts
    together: tuple[Together, ...]
    even_layers: bool
    least_rank: int
    block: int

    def experts_of(self, model_class: ModelClass | None) -> Experts:
        """Return how the experts of a model are to be stored.

        Args:
            model_class: The engine's class of it; None if that is not known.
        """
        stated = None if model_class is None else model_class.experts
        return {"2d": Experts.SINGLE, "3d": Experts.STACKED}.get(stated or "", self.experts)

    def rank_from(self, rank: int) -> int:
        """Return the smallest rank, not below the given one, that the engine pads no further."""
        if not self.block:
            return max(rank, 1)
        if rank <= self.least_rank:
            return self.least_rank
        return -(-rank // self.block) * self.block


@cache
def adapter_forms() -> Mapping[str, AdapterForm]:
    """Return the forms by the name of the engine.

    Raises:
        ValueError: The data has a key or value that is not in the schema, or lacks one.
    """
    from importlib.resources import files  # like tomllib only where an engine is asked for

    text = files("lorascope.serving").joinpath("adapter_forms.toml").read_text(encoding="utf-8")
    return read_adapter_forms(text)


def read_adapter_forms(text: str) -> Mapping[str, AdapterForm]:
    """Read what `adapter_forms.toml` holds; see `adapter_forms`."""
    import tomllib

    return {name: _form(name, row) for name, row in tomllib.loads(text).items()}


def _form(name: str, row: dict[str, Any]) -> AdapterForm:
    known = {field.name for field in fields(AdapterForm)}
    if row.keys() != known:
        raise ValueError(f"adapter_forms.toml, {name}: keys {sorted(row.keys() ^ known)}")
    return AdapterForm(
        source=tuple(map(str, row["source"])),
        experts=Experts(row["experts"]),
        together=tuple(
            Together(frozenset(group["any"]), tuple(group["all"])) for group in row["together"]
        ),
        even_layers=bool(row["even_layers"]),
        least_rank=int(row["least_rank"]),
        block=int(row["block"]),
    )
