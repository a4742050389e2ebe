"""One forward pass as a list of steps: which value was made of which others, and by which layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Part = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Offset, shape and strides of a view that shows only a part of its storage."""


class Read(NamedTuple):
    """A value that a step reads."""

    value: int
    """Number of the step that made it."""
    part: Part | None = None
    """Which part of it; None if all."""


class Step(NamedTuple):
    """One operator that ran on values that depend on the model's inputs.

    Views make no step, nor do operators on masks, positions and other constants.
    """

    name: str
    """Name of the operator without its overload, for example `mul`."""
    reads: tuple[Read, ...] = ()
    """Values read, in the order of its arguments; of a product of matrices the factors only."""
    layer: str | None = None
    """Path of the layer whose weight it multiplies with; None if it multiplies with none."""
    mixes: bool = False
    """True for a convolution over more than one position."""
    module: str | None = None
    """Path of the innermost module whose forward was running."""


class InputOf(NamedTuple):
    """The tensor that a layer read."""

    group: int
    """Layers with the same number read the very same bytes."""
    kept: bool | None
    """Whether autograd keeps it although nothing is adapted; None if it was not asked."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What one forward pass showed."""

    steps: tuple[Step, ...] = ()
    called: frozenset[str] = frozenset()
    """Paths of the modules whose forward ran."""
    read: frozenset[str] = frozenset()
    """Paths of the layers whose weight took part in an operator."""
    inputs: Mapping[str, InputOf] = field(default_factory=dict)
    """Path of a layer → what it read the first time."""
    failure: str | None = None
    """Why the pass was cut; None if it ended."""


PRODUCTS = frozenset(
    {
        "_grouped_mm",
        "_scaled_mm",
        "addbmm",
        "addmm",
        "addmv",
        "baddbmm",
        "bmm",
        "dot",
        "grouped_mm_fallback",
        "linear",
        "matmul",
        "mm",
        "mv",
    }
)
"""Names of the operators that multiply matrices."""

ADDS_FIRST = frozenset({"addbmm", "addmm", "addmv", "baddbmm"})
"""Products whose first argument is added to the product and no factor of it."""

ATTENTION = "_scaled_dot_product_attention"
"""Name of the step that reads query, key and value and returns what was attended to."""

GIVEN = "given"
"""Name of the step that stands for an input of the model."""
