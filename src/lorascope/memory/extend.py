"""From a step in which alike blocks were left out to the step of the whole model: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lorascope.memory.fake_step import FakeStep, Trained, Weight
from lorascope.memory.recorder import Phase
from lorascope.memory.timeline import Change, Timeline
from lorascope.memory.zones import PERIODS_RUN
from lorascope.observe.alike import Repeats


class NotAlikeError(Exception):
    """Blocks that are built alike did not do the same."""


def extended(step: FakeStep, zones: Sequence[Repeats]) -> FakeStep:
    """Return what the step would have shown had every block been run.

    In each zone the first three periods and the last were run. What the second did stands for
    those left out: its changes come in again for each of them, in the forward pass before the
    last period, in the backward pass behind it. What goes between the zone's two passes goes for
    all of them where it goes for the second.

    Args:
        step: Of the thinned model.
        zones: What was left out of it.

    Raises:
        NotAlikeError: The second and the third period of a zone differ in any change or weight,
            or the recording does not show where their blocks begin.
    """
    timeline = step.timeline
    start = dict(timeline.start)
    weights, trained = list(step.weights), list(step.trained)
    insertions: dict[int, list[Change]] = {}
    repeated: dict[int, int] = {}
    for zone in zones:
        second, third = _period(step, zone, 1), _period(step, zone, 2)
        if second != third:
            raise NotAlikeError(f"Blocks {zone.start} to {zone.stop - 1} are not alike.")
        copies = range(PERIODS_RUN - 1, zone.count - 1)
        shifts = [zone.start + copy * zone.period for copy in copies]
        for shift in shifts:
            weights += [replace(each, block=_plus(each.block, shift)) for each in second.weights]
            trained += [replace(each, block=_plus(each.block, shift)) for each in second.trained]
        for weight in second.weights:
            start[weight.part] += weight.size * len(shifts)
        start["gradient"] += sum(each.accumulated for each in second.trained) * len(shifts)
        repeated |= dict.fromkeys(_left(timeline, zone), len(shifts))
        forward, backward = _behind_third(step, zone)
        if forward is not None:
            insertions[forward] = [c for shift in shifts for c in _moved(second.forward, shift)]
        if backward is not None:
            insertions[backward] = [
                c for shift in reversed(shifts) for c in _moved(second.backward, shift)
            ]
    changes: list[Change] = []
    for index, change in enumerate(timeline.changes):
        changes += insertions.get(index, ())
        changes.append(change)
        changes += [change] * repeated.get(index, 0)
    return replace(
        step,
        timeline=Timeline(start, changes),
        weights=tuple(weights),
        trained=tuple(trained),
    )


@dataclass(frozen=True, slots=True)
class _Period:
    """What one period of a zone holds and does; blocks are counted from its own first one."""

    weights: tuple[Weight, ...]
    trained: tuple[Trained, ...]
    forward: tuple[Change, ...]
    backward: tuple[Change, ...]


def _period(step: FakeStep, zone: Repeats, copy: int) -> _Period:
    first = zone.start + copy * zone.period
    blocks = range(first, first + zone.period)
    forward = _slice(step.timeline, zone, Phase.FORWARD, copy)
    backward = _slice(step.timeline, zone, Phase.BACKWARD, copy)
    return _Period(
        tuple(replace(w, block=_plus(w.block, -first)) for w in step.weights if w.block in blocks),
        tuple(replace(t, block=_plus(t.block, -first)) for t in step.trained if t.block in blocks),
        tuple(_moved(forward, -first)),
        tuple(_moved(backward, -first)),
    )


def _left(timeline: Timeline, zone: Repeats) -> list[int]:
    """Return where what the second period made goes between the zone's two passes.

    Copies of weights that autocast keeps until the forward pass is over go there, and what a loss
    reads of each block.
    """
    begin = _begin(timeline, zone, Phase.FORWARD, zone.count - 1)
    end = _begin(timeline, zone, Phase.BACKWARD, zone.count - 1)
    if begin is None:
        return []
    first = zone.start + zone.period
    blocks = range(first, first + zone.period)
    changes = timeline.changes
    window = range(begin, len(changes) if end is None else end)
    return [at for at in window if changes[at].size < 0 and changes[at].owner in blocks]


def _slice(timeline: Timeline, zone: Repeats, phase: Phase, copy: int) -> Sequence[Change]:
    """Changes from where one of the first three periods begins to where the next one does."""
    run = (0, 1, 2, zone.count - 1)
    if phase is Phase.FORWARD:
        begin, end = run[copy], run[copy + 1]
    else:
        begin, end = run[copy], run[copy - 1]
    first, last = _begin(timeline, zone, phase, begin), _begin(timeline, zone, phase, end)
    if first is None and last is None:
        return ()
    if first is None or last is None or first > last:
        raise NotAlikeError("Blocks do not run one after the other.")
    return timeline.changes[first:last]


def _behind_third(step: FakeStep, zone: Repeats) -> tuple[int | None, int | None]:
    """Where in the changes the periods left out would be, in the forward and backward pass.

    None for a pass in which no block of the zone takes part: no gradient flows there, or the
    blocks are those of an image tower and the batch holds no image.
    """
    forward = _begin(step.timeline, zone, Phase.FORWARD, zone.count - 1)
    blocks = range(zone.start, zone.stop)
    if forward is None and any(which in blocks for _, _, which in step.timeline.marks):
        raise NotAlikeError("Only some of the blocks run.")
    return forward, _begin(step.timeline, zone, Phase.BACKWARD, 2)


def _begin(timeline: Timeline, zone: Repeats, phase: Phase, copy: int) -> int | None:
    """How many changes come before a period; None if it takes no part in this phase."""
    first = zone.start + copy * zone.period
    block = first if phase is Phase.FORWARD else first + zone.period - 1
    found = [at for at, when, which in timeline.marks if when is phase and which == block]
    if len(found) > 1:
        raise NotAlikeError("A block runs more than once.")
    return found[0] if found else None


def _moved(changes: Iterable[Change], by: int) -> Iterable[Change]:
    for change in changes:
        place = replace(change.place, block=_plus(change.place.block, by))
        yield replace(change, place=place)


def _plus(block: int | None, by: int) -> int | None:
    return None if block is None else block + by
