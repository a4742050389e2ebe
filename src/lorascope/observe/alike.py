"""Which blocks of a model are alike, as far as their modules tell."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

OWN_INDEX = frozenset(
    {"block_idx", "idx", "index", "layer_id", "layer_idx", "layer_index", "layer_number"}
)
"""Attributes in which a module keeps the position of its block."""
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Repeats:
    """A part of a sequence in which the same period comes again and again."""

    start: int
    """Index of its first item."""
    period: int
    """Items in one period."""
    count: int
    """How often the period comes."""

    @property
    def stop(self) -> int:
        """Index behind its last item."""
        return self.start + self.period * self.count


def signature(block: nn.Module) -> Hashable:
    """Return what a block is made of: equal for blocks that are built alike.

    It holds the path, class, parameters and buffers (name, shape, type) and the plain attributes
    (numbers, texts, truth values, None, tuples and lists of them) of each of its modules, save the
    position of the block itself.
    """
    return tuple(_describe(path, module) for path, module in block.named_modules())


def _describe(path: str, module: nn.Module) -> Hashable:
    tensors = (*module._parameters.items(), *module._buffers.items())  # noqa: SLF001 - in one pass
    return (
        path,
        type(module),
        tuple((name, tuple(t.shape), t.dtype) for name, t in tensors if t is not None),
        tuple(_plain_attributes(module)),
    )


def _plain_attributes(module: nn.Module) -> Iterator[tuple[str, Hashable]]:
    for name, value in vars(module).items():
        if name.startswith("_") or name in OWN_INDEX:
            continue
        if isinstance(value, _PLAIN):
            yield name, value
        elif isinstance(value, (tuple, list)) and all(isinstance(item, _PLAIN) for item in value):
            yield name, tuple(value)


def repeats(items: Sequence[Hashable], kept: int) -> tuple[Repeats, ...]:
    """Find the parts of `items` in which a period comes more than `kept` times.

    Those that leave the fewest items when each is cut down to `kept` periods come first to be
    taken; then what lies before and behind is searched in the same way.

    Args:
        items: What stands in each place, for example signatures.
        kept: Periods that would remain of each part.

    Returns:
        Parts that do not overlap, in order.
    """
    return tuple(sorted(_repeats(items, 0, len(items), kept), key=lambda part: part.start))


def _repeats(items: Sequence[Hashable], start: int, stop: int, kept: int) -> Iterator[Repeats]:
    best: Repeats | None = None
    saved = 0
    for period in range(1, (stop - start) // (kept + 1) + 1):
        for part in _runs(items, start, stop, period):
            if (part.count - kept) * period > saved:
                best, saved = part, (part.count - kept) * period
    if best is not None:
        yield best
        yield from _repeats(items, start, best.start, kept)
        yield from _repeats(items, best.stop, stop, kept)


def _runs(items: Sequence[Hashable], start: int, stop: int, period: int) -> Iterator[Repeats]:
    """Longest stretches in which each item equals the one a period before."""
    begin = start
    for index in range(start + period, stop + 1):
        if index == stop or items[index] != items[index - period]:
            yield Repeats(begin, period, (index - begin) // period)
            begin = index - period + 1
