"""What one forward pass on weightless tensors showed of a model's modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lorascope.core.roles import Role


class Call(StrEnum):
    """Whether a module's forward ran. The values are the words of the JSON output."""

    CALLED = "called"
    READ_DIRECTLY = "read_directly"
    """Its weight is read past its forward, and no way through the code calls it: an adapter there
    learns nothing."""
    READ_ON_SOME_WAYS = "read_on_some_ways"
    """The pass or other ways through the code call it, but some way that a training step may take,
    such as a fused kernel, reads its weight past its forward: there an adapter learns nothing."""
    NOT_REACHED = "not_reached"
    """Neither: no input led there (no image given, an expert that no token chose)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the run showed of one adaptable module."""

    call: Call
    role: Role | None = None
    """What the data flow says the module does; None if it does not tell."""
    affine: bool | None = None
    """Whether its output is x·Wᵀ + b; None if that was not tried."""
    input_group: int | None = None
    """Modules with the same number read the very same tensor; None if not called."""
    input_kept: bool | None = None
    """Whether autograd keeps that input for the backward pass even if nothing here is adapted;
    None if not called, or if the pass ran without gradients."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the run showed of a whole model."""

    modules: Mapping[str, Observed] = field(default_factory=dict)
    """Path of an adaptable module (as in the inventory) → what was seen of it."""
    inputs: tuple[str, ...] = ()
    """Names of the arguments that the forward pass was given."""
    attentions: int = 0
    """How many attentions ran."""
    is_partial: bool = False
    """True if the pass was cut (time, an error halfway): modules not reached tell nothing."""
    reason: str | None = None
    """Why nothing, or only a part, could be seen; None if all went well."""
    notes: tuple[str, ...] = ()
    """What the pass went without (a kind of input) and what it took for granted (a number that the
    config leaves open), each in a few words."""

    @property
    def info(self) -> ObservationInfo:
        """The same without the modules."""
        return ObservationInfo(
            self.inputs, self.attentions, self.is_partial, self.reason, self.notes
        )


@dataclass(frozen=True, slots=True)
class ObservationInfo:
    """That a model was run, and how: what an inventory keeps beside what each module shows."""

    inputs: tuple[str, ...] = ()
    """Names of the arguments that the forward pass was given."""
    attentions: int = 0
    """How many attentions ran."""
    is_partial: bool = False
    """True if the pass was cut (time, an error halfway): modules not reached tell nothing."""
    reason: str | None = None
    """Why nothing, or only a part, could be seen; None if all went well."""
    notes: tuple[str, ...] = ()
    """What the pass went without (a kind of input) and what it took for granted (a number that the
    config leaves open), each in a few words."""
