"""Fold full names that differ only in their indices into one pattern.

`model.layers.0.mlp.up_proj`, `model.layers.1.mlp.up_proj` → `model.layers.{0-1}.mlp.up_proj`.
A pattern stands for exactly the names folded into it: its index sets are multiplied out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_LEAST_REPEATS = 5
"""How many evenly spaced runs of indices are written `first,second,…,last`."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Full names that differ only in their indices."""

    text: str
    """With index sets in braces, for example `layers.{0-2,4}.mlp.up_proj`."""
    count: int
    """How many names it stands for."""


def fold(paths: Iterable[str]) -> list[Pattern]:
    """Fold names into as few patterns as stand for exactly them, in order of first appearance."""
    indices_by_shape: dict[tuple[str | None, ...], list[tuple[int, ...]]] = {}
    for path in paths:
        shape, indices = split(path)
        indices_by_shape.setdefault(shape, []).append(indices)
    return [
        _pattern(shape, block)
        for shape, indices in indices_by_shape.items()
        for block in _blocks(tuple(dict.fromkeys(indices)))
    ]


def split(path: str) -> tuple[tuple[str | None, ...], tuple[int, ...]]:
    """Take the indices out of a name.

    Returns:
        The parts of the name with None where an index was, and the indices in order.
    """
    shape: list[str | None] = list(path.split("."))
    indices = []
    for place, part in enumerate(shape):
        if part is not None and part.isdigit() and _is_index(part):
            indices.append(int(part))
            shape[place] = None
    return tuple(shape), tuple(indices)


def index_set(indices: Iterable[int]) -> str:
    """Write a set of indices: `0-2,4,8`, and `3,7,…,47` where runs are evenly spaced."""
    runs = _runs(sorted(set(indices)))
    pieces: list[str] = []
    while runs:
        length = _evenly_spaced(runs)
        if length >= _LEAST_REPEATS:
            pieces += [_run_text(runs[0]), _run_text(runs[1]), "…", _run_text(runs[length - 1])]
        else:
            length = 1
            pieces.append(_run_text(runs[0]))
        runs = runs[length:]
    return ",".join(pieces)


def _is_index(digits: str) -> bool:
    # A leading zero would be lost on the way to a number and back.
    return digits.isascii() and (digits == "0" or digits[0] != "0")


def _pattern(shape: Sequence[str | None], block: Sequence[tuple[int, ...]]) -> Pattern:
    sets = iter(block)
    count = 1
    parts: list[str] = []
    for part in shape:
        if part is not None:
            parts.append(part)
            continue
        indices = next(sets)
        count *= len(indices)
        parts.append(str(indices[0]) if len(indices) == 1 else f"{{{index_set(indices)}}}")
    return Pattern(".".join(parts), count)


def _blocks(indices: tuple[tuple[int, ...], ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Cut a set of index tuples into blocks, each the product of one set a position."""
    if not indices[0]:
        yield ()
        return
    tails: dict[int, list[tuple[int, ...]]] = {}
    for first, *rest in indices:
        tails.setdefault(first, []).append(tuple(rest))
    firsts: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for first, rests in tails.items():
        firsts.setdefault(tuple(rests), []).append(first)
    for rests_key, same in firsts.items():
        for block in _blocks(rests_key):
            yield (tuple(same), *block)


def _runs(indices: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs


def _evenly_spaced(runs: Sequence[tuple[int, int]]) -> int:
    """Count the runs from the first on that have its length and keep one distance."""
    count = 1
    for before, run in pairwise(runs):
        same_length = run[1] - run[0] == before[1] - before[0]
        if not same_length or run[0] - before[0] != runs[1][0] - runs[0][0]:
            break
        count += 1
    return count


def _run_text(run: tuple[int, int]) -> str:
    return str(run[0]) if run[0] == run[1] else f"{run[0]}-{run[1]}"
