"""Pairs of low-rank factors: as an adapter stores them, and as they are to be written.

Nothing here holds a number of a matrix. A pair to be written says which rows and which rank of
which stored factors go where, so that every shape is known before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from lorascope.core.errors import AdapterError
from lorascope.core.stored import StoredTensor

LINEAR = (".lora_A.weight", ".lora_B.weight")
EMBEDDING = (".lora_embedding_A", ".lora_embedding_B")
"""Ends of the names of A and B."""


@dataclass(frozen=True, slots=True)
class Factors:
    """One pair as the adapter's file holds it."""

    path: str
    """Full name of the module or parameter in the base model."""
    a: StoredTensor
    """Shape (experts·rank, in, …)."""
    b: StoredTensor
    """Shape (out, rank·experts, …); of rank·experts the expert is the inner index, as PEFT has it.

    Source: peft 0.21.2, `ParamWrapper.get_delta_weight` in `tuners/lora/layer.py`."""
    scaling: float
    """What the trained product is multiplied by."""
    experts: int = 1
    """How many are stacked."""
    bias: StoredTensor | None = None
    """`lora_bias`: it is scaled like the product."""

    @property
    def rank(self) -> int:
        """Rank of each expert."""
        return self.a.shape[0] // self.experts


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one stored product, and where they go."""

    factors: Factors
    expert: int
    """Which of the stacked ones."""
    rows: range
    """Of the stored product."""
    into: range
    """Of the written product; as many as `rows`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair to be written."""

    path: str
    """Full name of the module or parameter in the model that is served."""
    stem: str
    """Start of the names of its tensors."""
    ends: tuple[str, str]
    """`LINEAR` or `EMBEDDING`."""
    inputs: tuple[int, ...]
    """Dimensions of A after the rank: (in,), for a convolution also its kernel."""
    outputs: int
    beyond: tuple[int, ...] = ()
    """Dimensions of B after the rank: ones for a convolution, else none."""
    experts: tuple[tuple[Part, ...], ...] = ((),)
    """For each stacked expert what it is made of; one for anything else. No part: zeros."""
    is_parameter: bool = False
    """Whether PEFT reaches it through `target_parameters`."""
    adapts: str | None = None
    """Path of what PEFT adapts for it, if that has another name; None if it is `path`."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of all experts."""
        return tuple(part for expert in self.experts for part in expert)

    @property
    def rank(self) -> int:
        """Smallest rank that holds each expert; 0 for zeros."""
        return max(sum(part.factors.rank for part in expert) for expert in self.experts)

    @property
    def whole(self) -> Factors | None:
        """The stored pair that this is, if it is one, whole and alone."""
        if len(self.experts) != 1 or len(self.experts[0]) != 1:
            return None
        part = self.experts[0][0]
        full = range(self.outputs)
        is_whole = part.rows == full and part.into == full and part.factors.experts == 1
        return part.factors if is_whole else None

    @property
    def names(self) -> tuple[str, str]:
        """Full names of A and B."""
        return f"{self.stem}{self.ends[0]}", f"{self.stem}{self.ends[1]}"


@dataclass(frozen=True, slots=True)
class Extra:
    """A stored tensor that is no low-rank factor and is carried along."""

    tensor: StoredTensor
    name: str
    """As it is to be written."""
    path: str
    """Module that it belongs to."""
    is_saved: bool = False
    """Whether that module is one of `modules_to_save`, or inside of one."""


@dataclass(frozen=True)
class Content:
    """All that an adapter is to hold."""

    pairs: tuple[Pair, ...]
    extras: tuple[Extra, ...] = field(default=())


def whole_parts(factors: Factors, outputs: int) -> tuple[tuple[Part, ...], ...]:
    """Return a stored pair as it is."""
    rows = range(outputs)
    return tuple((Part(factors, expert, rows, rows),) for expert in range(factors.experts))


def taken(parts: Iterable[Part], wanted: range) -> tuple[Part, ...]:
    """Return what makes up some rows of a product; parts that give none of them are left out."""
    found = []
    for part in parts:
        places = _places(part.into, wanted)
        if places is not None:
            of_part, of_wanted = places
            rows = part.rows[of_part.start : of_part.stop : of_part.step]
            found.append(Part(part.factors, part.expert, rows, of_wanted))
    return tuple(found)


def moved(parts: Iterable[Part], by: int) -> tuple[Part, ...]:
    """Return parts with all rows moved down."""
    return tuple(
        Part(
            each.factors,
            each.expert,
            each.rows,
            range(each.into.start + by, each.into.stop + by, each.into.step),
        )
        for each in parts
    )


@lru_cache(maxsize=1024)
def _places(into: range, wanted: range) -> tuple[range, range] | None:
    """Return where the common rows stand in each of two; None if there are none."""
    common = sorted(set(into) & set(wanted))
    if not common:
        return None
    return _as_range([into.index(row) for row in common]), _as_range(
        [wanted.index(row) for row in common]
    )


def _as_range(places: list[int]) -> range:
    step = places[1] - places[0] if len(places) > 1 else 1
    found = range(places[0], places[-1] + 1, step)
    if step < 1 or list(found) != places:
        raise AdapterError(
            "The rows of a fused projection are cut in a way that lorascope does not follow.",
            "Leave out --split and --pack.",
        )
    return found
