"""What comes of an adapter at an engine: which part of it is served, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.matching import Match
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.parts import ServedPart
from lorascope.serving.troubles import Severity, Trouble, limits, scales


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one engine makes of an adapter."""

    engine: Engine
    parts: tuple[ServedPart, ...]
    """All targets, by the factor between served and trained contribution."""
    troubles: tuple[Trouble, ...]
    """What it refuses, leaves out or needs an option for."""

    @property
    def is_refused(self) -> bool:
        """Whether it does not load the adapter."""
        return any(each.severity is Severity.REFUSED for each in self.troubles)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is left out beside the LoRA of whole modules, such as DoRA; nothing if refused."""
        if self.is_refused:
            return ()
        targets = {path for part in self.parts for path in part.paths}
        changed = (each for each in self.troubles if each.severity is Severity.CHANGED)
        return tuple(each.inside for each in changed if targets.isdisjoint(each.paths))

    @property
    def unknown(self) -> str | None:
        """Class of the model if the engine has none for it; None if it has, or that is open."""
        notes = (each for each in self.troubles if each.feature is Feature.UNKNOWN_MODEL)
        return next((each.entry for each in notes), None)

    @property
    def as_trained(self) -> bool | None:
        """Whether it is served as trained, the options set; None if that is not known."""
        if any(each.severity.is_hard for each in self.troubles):
            return False
        if not self.is_scaled_as_trained:
            return False
        return None if self.unknown else True

    @property
    def is_scaled_as_trained(self) -> bool:
        """Whether all low-rank products are added as strongly as in training."""
        return all(part.is_same for part in self.parts)

    @property
    def options(self) -> tuple[str, ...]:
        """What it has to be started with."""
        return tuple(dict.fromkeys(each.option for each in self.troubles if each.option))


def outcome(
    engine: Engine,
    spec: LoraSpec,
    match: Match,
    inventory: Inventory,
    stored: Iterable[StoredTensor] | None = None,
) -> Outcome:
    """Work out what an engine makes of an adapter, its options set as they have to be.

    Args:
        engine: The engine.
        spec: As PEFT gets it.
        match: What PEFT makes of it.
        inventory: Of the base model.
        stored: Tensors of the trained adapter; None if there are none to read.
    """
    stored = None if stored is None else tuple(stored)
    found = limits(engine, spec, match, inventory, stored)
    if any(each.severity is Severity.REFUSED for each in found):
        every = tuple(target.path for target in match.targets)
        return Outcome(engine, (ServedPart(None, every),) if every else (), found)
    parts = scales(engine, match, inventory, found, spec, stored)
    served = {path for part in parts for path in part.paths}
    left_out = tuple(target.path for target in match.targets if target.path not in served)
    return Outcome(engine, (*parts, *((ServedPart(0.0, left_out),) if left_out else ())), found)
