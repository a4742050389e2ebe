"""From a recording to what lives when, part by part: pure, no tensor in sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from lorascope.core.memory import MemoryParts
from lorascope.memory.recorder import Phase, Place, Recording

PARTS = tuple(field.name for field in fields(MemoryParts))


@dataclass(frozen=True, slots=True)
class Change:
    """Bytes of one part that come or go."""

    size: int
    """Negative when they go."""
    part: str
    """One of `PARTS`."""
    place: Place
    owner: int | None = field(default=None, compare=False)
    """Index of the block in which the storage was born; None outside of the blocks."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What lives before a pass, and each change during it."""

    start: Mapping[str, int]
    """Part → bytes; a part that is not named has none."""
    changes: Sequence[Change]
    marks: Sequence[tuple[int, Phase, int]] = ()
    """How many changes there were when a block was entered, in which phase, and its index."""

    def peak(self) -> tuple[MemoryParts, Place]:
        """Return the parts at the first moment at which most lives, and where that is."""
        live = sum(self.start.values())
        best, at = live, 0
        for index, change in enumerate(self.changes, start=1):
            live += change.size
            if live > best:
                best, at = live, index
        place = self.changes[at - 1].place if at else Place(Phase.FORWARD)
        return parts_after(self.start, self.changes[:at]), place

    def end(self) -> Mapping[str, int]:
        """Return part → bytes that live when it is over."""
        return _sums(self.start, self.changes)

    def kept(self) -> int:
        """Return the bytes of activations that live when the forward pass is over."""
        return sum(
            change.size
            for change in self.changes
            if change.part == "activation" and change.place.phase is Phase.FORWARD
        )


def parts_after(start: Mapping[str, int], changes: Iterable[Change]) -> MemoryParts:
    """Return what lives after `changes`."""
    return MemoryParts(**_sums(start, changes))


def _sums(start: Mapping[str, int], changes: Iterable[Change]) -> dict[str, int]:
    sums = dict.fromkeys(PARTS, 0) | dict(start)
    for change in changes:
        sums[change.part] += change.size
    return sums


def timeline_of(
    recording: Recording, weights: Mapping[int, str | None], gradients: frozenset[int]
) -> Timeline:
    """Tell what each storage is for, and put births and deaths in order.

    Args:
        recording: Of a forward and backward pass.
        weights: Number of a storage that lived before the pass → its part; None for one that
            does not count.
        gradients: Numbers of storages that are gradients of trained weights after the pass.
    """
    deaths = {
        number: index
        for index, (number, is_birth, _) in enumerate(recording.events)
        if not is_birth
    }
    parts: dict[int, str] = {}
    start = dict.fromkeys(PARTS, 0)
    changes: list[Change] = []
    changes_before: list[int] = []
    for number, is_birth, place in recording.events:
        changes_before.append(len(changes))
        birth = recording.births[number]
        if number in weights:
            given = weights[number]
            if given is None:
                continue
            part = given
            if is_birth:
                start[part] += birth.size
                continue
        else:
            part = parts.setdefault(number, _part_of(number, recording, gradients, deaths))
        size = birth.size if is_birth else -birth.size
        changes.append(Change(size, part, place, birth.place.block))
    changes_before.append(len(changes))
    marks = tuple((changes_before[at], phase, block) for at, phase, block in recording.marks)
    return Timeline(start, changes, marks)


def _part_of(
    number: int, recording: Recording, gradients: frozenset[int], deaths: Mapping[int, int]
) -> str:
    birth = recording.births[number]
    death = deaths.get(number, len(recording.events))
    if number in gradients:
        return "gradient"
    if birth.place.is_loss and number != recording.head_gradient:
        return "logits"
    if birth.place.phase is Phase.FORWARD:
        return "activation" if death >= recording.forward_end else "temporary"
    if birth.is_recomputed:
        end = recording.recomputation_ends.get(birth.recomputation, len(recording.events))
        return "activation" if death >= end else "temporary"
    return "temporary"
