"""What comes of an adapter at an engine: which part of it is served, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass

from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match
from lorascope.serving.engines import Engine
from lorascope.serving.parts import ServedPart, served_scales
from lorascope.serving.troubles import Severity, Trouble, limits


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
    def options(self) -> tuple[str, ...]:
        """What it has to be started with."""
        return tuple(dict.fromkeys(each.option for each in self.troubles if each.option))


def outcome(engine: Engine, spec: LoraSpec, match: Match, inventory: Inventory) -> Outcome:
    """Work out what an engine makes of an adapter, its options set as they have to be."""
    found = limits(engine, spec, match, inventory)
    if any(each.severity is Severity.REFUSED for each in found):
        every = tuple(target.path for target in match.targets)
        return Outcome(engine, (ServedPart(None, every),) if every else (), found)
    changed = (each for each in found if each.severity is Severity.CHANGED)
    lost = {path for each in changed for path in each.paths}
    kept = [target for target in match.targets if target.path not in lost]
    parts = served_scales(engine, kept, spec)
    left_out = tuple(target.path for target in match.targets if target.path in lost)
    return Outcome(engine, (*parts, *((ServedPart(0.0, left_out),) if left_out else ())), found)
