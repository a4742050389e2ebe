"""A LoRA configuration worked out on its base model: what export, diff and adapt start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Tool
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.matching.result import Match


@dataclass(frozen=True, slots=True)
class At:
    """How one module or parameter is adapted."""

    rank: int
    scaling: float
    """What the low-rank product is multiplied by."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What a configuration does on one model; PEFT does not refuse it."""

    origin: str
    """Path as the user named it, or what was given."""
    inventory: Inventory
    fields: Mapping[str, Any]
    """PEFT's field → value, as handed to PEFT."""
    match: Match
    """What these do on the model."""
    base_model: str
    """As a file is to name it."""
    revision: str | None = None
    stored: tuple[StoredTensor, ...] | None = None
    """What the adapter's file holds; None for a configuration without weights."""
    notes: tuple[str, ...] = field(default=())
    """What was noticed on the way, one sentence each."""
    tool: Tool | None = None
    """Whose file it is from; None for a plan."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that file that are none of PEFT's, under the tool's own names."""
    choices: tuple[str, ...] = ()
    """What was chosen for the tool that it is written for, one sentence each."""

    @property
    def spec(self) -> LoraSpec:
        """The fields, read."""
        return self.match.spec

    @property
    def adapted(self) -> Mapping[str, At]:
        """Path of each adapted module or parameter → how, in the order in which PEFT adapts.

        PEFT can adapt a module's parameter twice; the last one is told then.
        """
        return {each.path: At(each.rank, each.scaling) for each in self.match.targets}

    @property
    def saved(self) -> frozenset[str]:
        """Paths of the modules trained and saved whole."""
        return frozenset(each.path for each in self.match.saved)
