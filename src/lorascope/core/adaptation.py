"""What was done to a trained adapter so that a serving engine computes the same with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """What can be done to an adapter. The values are the words of the JSON output."""

    RENAMED = "renamed"
    """Tensors got the names that the served model has."""
    SPLIT = "split"
    """The factors of one fused projection became those of its parts."""
    PACKED = "packed"
    """The factors of several projections became those of one fused one."""
    EXPERTS = "experts"
    """Routed experts went from one stacked pair of factors to one pair each, or back."""
    FILLED = "filled"
    """Modules without an adapter got one of zeros, since the engine wants it there."""
    PADDED = "padded"
    """Factors of a smaller rank got zeros up to the rank of all."""
    SCALED = "scaled"
    """Factors were multiplied, so that one scale serves all modules."""
    CONFIGURED = "configured"
    """Fields of the configuration were put into the words that the engine reads."""
    DROPPED = "dropped"
    """What was asked to be left out."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step that was taken."""

    step: Step
    text: str
    """One sentence."""
    paths: tuple[str, ...] = ()
    """The modules concerned, in model order."""


@dataclass(frozen=True, slots=True)
class AdaptedPair:
    """One pair of low-rank factors as written."""

    path: str
    """Full name of the module or expert parameter, as the served model has it."""
    trained: tuple[str, ...]
    """Names in the base model of what it was made of; empty for one of zeros."""
    rank_before: int
    """The largest of the ranks that it was made of; 0 for one of zeros."""
    rank: int
    scales_before: tuple[float, ...]
    """What the products that it was made of were multiplied by, each value once."""
    scale: float
    """What the engine multiplies its product by."""
    factors: tuple[float, ...]
    """What B was multiplied by, each value once; 1 where nothing was to be done."""
    exact: bool
    """Whether no number was rounded; where nothing was computed, whether all factors are powers of
    two, which round nothing but what is near the limits of its type."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """A trained adapter rewritten for one engine."""

    origin: str
    """The adapter as the user named it."""
    engine: str
    """Name that the user gave."""
    title: str
    version: str
    """Release of the engine whose source was read."""
    base_model: str
    """The model that the adapter was trained on."""
    served_model: str
    """The model that it is written for."""
    adapter_config: Mapping[str, Any]
    """As written."""
    rank: int
    alpha: float
    pairs: tuple[AdaptedPair, ...]
    changes: tuple[Change, ...]
    tensors_before: int
    tensors: int
    bytes_before: int
    """Of all tensors together."""
    bytes: int
    directory: str | None = None
    """Where it was written; None if that was not asked for."""
    rounding: float | None = None
    """Largest change of one number by rounding, relative to it; 0 if nothing was rounded. None if
    nothing was computed."""
    notes: tuple[str, ...] = ()
    """What else a user has to know, one sentence each."""
