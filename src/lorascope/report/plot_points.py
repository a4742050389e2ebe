"""What the plots show: presets by trainable parameters against the peak of a training step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lorascope.core.plan import Plan


@dataclass(frozen=True, slots=True)
class PlotPoint:
    """One point of the plot."""

    names: tuple[str, ...]
    """Plans that fall on this very point, in order."""
    trainable_params: int
    peak_bytes: int

    @property
    def label(self) -> str:
        """The names, as they stand beside the point."""
        return ", ".join(self.names)


def plot_points(plans: Iterable[Plan]) -> tuple[PlotPoint, ...]:
    """Return the points of all plans that have a prediction and train anything, in order."""
    names: dict[tuple[int, int], list[str]] = {}
    for plan in plans:
        if plan.memory is not None and plan.trainable_params:
            place = (plan.trainable_params, plan.memory.peak_bytes)
            names.setdefault(place, []).append(plan.preset)
    return tuple(PlotPoint(tuple(found), *place) for place, found in names.items())
