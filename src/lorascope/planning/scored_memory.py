"""The best choice of modules whose training step fits, where memory is no sum over modules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from lorascope.planning.knapsack import Chosen, Costs, Item, best_choice

FEW = 6
"""Items of which every choice is tried."""
_MOST_STEPS = 8
"""Choices held against a prediction on the way to the largest room that holds."""
_MOST_FLOORS = 8
"""Lowest layers that are tried where it matters which is the lowest."""
_CLOSE = 0.001
"""Error up to which the estimate counts as true, as a share of what the choice itself takes."""

Needed = Callable[[Collection[str]], int]
"""Bytes that the training step needs with these modules adapted; predicted, so it takes time."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item is, as far as its memory goes."""

    group: str
    """Items of one group take about the same."""
    layer: int
    """Below the lowest layer that is adapted nothing is kept for the backward pass."""


def most_predictions(items: Sequence[Item], places: Mapping[str, Place]) -> int:
    """Return how often `choose_within` asks what is needed, at most."""
    if len(items) <= FEW:
        return 1 << len(items)
    return len({places[item.name].group for item in items}) + 3 + _MOST_STEPS


def choose_within(
    items: Sequence[Item], limits: Costs, places: Mapping[str, Place], needed: Needed
) -> Chosen | None:
    """Return the best choice that fits: the second limit is the memory that is needed.

    With at most `FEW` items the choices are tried in order of their total, so the first that fits
    is the best, whatever the memory is like. With more, what an item takes is estimated: what its
    group saves when it is left out as a whole, and what each layer below the topmost one adds,
    scaled so that the least and everything come out right. If the choice made with that needs what
    was estimated, it is the best. If not, the room for the estimates is bisected towards the
    largest whose choice really fits.

    Args:
        items: What may be chosen; the second cost of each is ignored.
        limits: Most of the first cost, and most bytes.
        places: Where each item is, by name.
        needed: Predicts a choice.

    Returns:
        The choice, never empty; None if none was found.
    """
    if len(items) <= FEW:
        return next(_fitting(items, limits, needed), None)
    return _by_estimate(items, limits, places, _estimate(items, places, needed), needed)


def _fitting(items: Sequence[Item], limits: Costs, needed: Needed) -> Iterator[Chosen]:
    subsets = [
        subset
        for count in range(1, len(items) + 1)
        for subset in combinations(items, count)
        if sum(item.costs[0] for item in subset) <= limits[0]
    ]
    subsets.sort(key=lambda subset: (-sum(item.score for item in subset), len(subset)))
    for subset in subsets:
        names = frozenset(item.name for item in subset)
        if needed(names) <= limits[1]:
            yield Chosen(names)


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Memory as a sum: right for the least and for everything, and about right between."""

    base: int
    per_layer: int
    """Bytes that each layer from the lowest adapted one up to the topmost adds."""
    top: int
    """The topmost layer."""
    bytes_of: Mapping[str, int]

    def depth(self, floor: int) -> int:
        """What the layers add if `floor` is the lowest."""
        return self.per_layer * (self.top - floor)


def _estimate(items: Sequence[Item], places: Mapping[str, Place], needed: Needed) -> _Estimate:
    members: dict[str, list[str]] = defaultdict(list)
    for item in items:
        members[places[item.name].group].append(item.name)
    everything = [item.name for item in items]
    total = needed(everything)
    # The group that reaches furthest down and up shows what a layer adds.
    wide = max(members.values(), key=lambda names: len({places[name].layer for name in names}))
    lowest = min(wide, key=lambda name: places[name].layer)
    topmost = max(wide, key=lambda name: places[name].layer)
    top, span = places[topmost].layer, places[topmost].layer - places[lowest].layer
    least = needed([topmost])
    per_layer = max(0, needed([lowest]) - least) // span if span else 0
    spread = total - least - per_layer * span
    if len(members) == 1:
        saved = dict.fromkeys(members, max(0.0, spread / (len(items) - 1)))
    else:
        saved = {
            group: max(0.0, total - needed([n for n in everything if n not in set(names)]))
            / len(names)
            for group, names in members.items()
        }
    own = saved[places[topmost].group]
    apart = sum(saved[group] * len(names) for group, names in members.items())
    # Modules that share what they keep save little one group at a time, and more together.
    scale = (spread + own) / apart if apart > 0 else 0.0
    even = spread / (len(items) - 1)
    return _Estimate(
        base=round(least - own),
        per_layer=per_layer,
        top=top,
        bytes_of={
            name: max(0, round(saved[places[name].group] * scale if apart > 0 else even))
            for name in everything
        },
    )


def _by_estimate(
    items: Sequence[Item],
    limits: Costs,
    places: Mapping[str, Place],
    estimate: _Estimate,
    needed: Needed,
) -> Chosen | None:
    score = {item.name: item.score for item in items}
    floors = _floors([places[item.name].layer for item in items], estimate)
    low = 0
    high = sum(estimate.bytes_of.values()) + estimate.depth(floors[0])
    room = min(max(0, limits[1] - estimate.base), high)
    best: Chosen | None = None
    for step in range(_MOST_STEPS):
        chosen = _with_room(items, (limits[0], room), places, estimate, floors)
        really = needed(chosen.names) if chosen.names else 0
        if really <= limits[1]:
            if chosen.names and (best is None or _total(chosen, score) > _total(best, score)):
                best = replace(chosen, is_proven=False)
            if step == 0 and chosen.names and _is_close(chosen, really, places, estimate):
                return replace(chosen, is_proven=chosen.is_proven and estimate.per_layer == 0)
            low = room
        else:
            high = room
        if high - low <= 1:
            break
        room = (low + high) // 2
    return best


def _floors(layers: Sequence[int], estimate: _Estimate) -> Sequence[int]:
    """The lowest layers to try, evenly spread; the lowest of all alone where it does not matter."""
    present = sorted(set(layers))
    if estimate.per_layer == 0:
        return present[:1]
    steps = min(len(present), _MOST_FLOORS)
    return [present[i * (len(present) - 1) // max(1, steps - 1)] for i in range(steps)]


def _with_room(
    items: Sequence[Item],
    limits: Costs,
    places: Mapping[str, Place],
    estimate: _Estimate,
    floors: Sequence[int],
) -> Chosen:
    """The best choice by the estimate, over all lowest layers."""
    score = {item.name: item.score for item in items}
    found: list[Chosen] = [Chosen(frozenset())]
    for floor in floors:
        room = limits[1] - estimate.depth(floor)
        if room < 0:
            continue
        priced = [
            replace(item, costs=(item.costs[0], estimate.bytes_of[item.name]))
            for item in items
            if places[item.name].layer >= floor
        ]
        found.append(best_choice(priced, (limits[0], room)))
    return max(found, key=lambda chosen: _total(chosen, score))


def _is_close(
    chosen: Chosen, really: int, places: Mapping[str, Place], estimate: _Estimate
) -> bool:
    floor = min(places[name].layer for name in chosen.names)
    own = estimate.depth(floor) + sum(estimate.bytes_of[name] for name in chosen.names)
    # Each estimate is rounded to a byte.
    return abs(really - estimate.base - own) <= _CLOSE * own + len(chosen.names)


def _total(chosen: Chosen, score: Mapping[str, float]) -> float:
    return sum(score[name] for name in chosen.names)
