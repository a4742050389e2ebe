"""One rank and one scale for all pairs, so that every engine's rule gives the trained scales."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lorascope.core.adaptation import AdaptedPair, Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.numbers import counted
from lorascope.rewriting.pairs import Content, Pair
from lorascope.serving.adapter_forms import AdapterForm
from lorascope.serving.engines import Engine

LARGEST_RANK = 1_000_000
"""The largest that is written, as `plan` has it."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """The rank and scale of all pairs."""

    rank: int
    alpha: float
    """`alpha / rank` is `scale`."""
    scale: float

    def factor(self, scaling: float) -> float:
        """Return what B of a product that is scaled so is multiplied by."""
        return 1.0 if scaling == self.scale else scaling / self.scale


def uniform_of(
    content: Content, engine: Engine, form: AdapterForm, rank: int | None = None
) -> Uniform:
    """Choose the smallest rank that holds all pairs, and the scale that rounds the fewest.

    A factor that is a power of two rounds nothing. Of scales that round equally few, that of the
    most parts is taken.

    Args:
        content: What is to be written.
        engine: Which limit counts.
        form: Which ranks the engine does not pad.
        rank: A larger rank that is wanted; None for the smallest. One that the engine would pad
            is rounded up, since it scales by the padded one.

    Raises:
        AdapterError: The rank is above what the engine serves, or below what is needed.
    """
    needed = max(pair.rank for pair in content.pairs)
    chosen = form.rank_from(needed)
    if rank is not None:
        if rank < needed:
            raise AdapterError(
                f"Rank {rank} cannot hold this adapter, whose largest rank is {needed}.",
                f"Give --rank {chosen} or more, or leave it out.",
            )
        chosen = form.rank_from(rank)
    if chosen > LARGEST_RANK:
        raise AdapterError(
            f"Rank {chosen:,} is above {LARGEST_RANK:,}, the largest that lorascope writes.",
            f"Give --rank {form.rank_from(needed)} or somewhat more, or leave it out.",
        )
    if engine.ranks and chosen > engine.ranks[-1]:
        raise AdapterError(
            f"The adapter needs rank {chosen}; {engine.title} ({engine.version}) serves at most "
            f"{engine.ranks[-1]}.",
            "Merge the adapter into the model (merge_and_unload) and serve that.",
        )
    scale = _scale(part.factors.scaling for pair in content.pairs for part in pair.parts)
    return Uniform(chosen, _alpha(scale, chosen), scale)


def adapted_pairs(content: Content, uniform: Uniform) -> Iterator[AdaptedPair]:
    """Say of each pair what becomes of it."""
    for pair in content.pairs:
        scales = tuple(dict.fromkeys(part.factors.scaling for part in pair.parts))
        factors = tuple(uniform.factor(scale) for scale in scales)
        yield AdaptedPair(
            path=pair.path,
            trained=tuple(dict.fromkeys(part.factors.path for part in pair.parts)),
            rank_before=max((part.factors.rank for part in pair.parts), default=0),
            rank=uniform.rank,
            scales_before=scales,
            scale=uniform.scale,
            factors=factors,
            exact=all(map(is_power_of_two, factors)),
        )


def uniform_changes(
    pairs: Iterable[AdaptedPair], content: Content, uniform: Uniform
) -> Iterator[Change]:
    """Say which pairs are to be padded and which to be multiplied."""
    needed = dict(zip((pair.path for pair in content.pairs), content.pairs, strict=True))
    listed = tuple(pairs)
    padded = tuple(
        each.path for each in listed if each.trained and _rank(needed[each.path]) < uniform.rank
    )
    if padded:
        ranks = sorted({_rank(needed[path]) for path in padded})
        text = (
            f"{counted(len(padded), 'pair')} of rank {', '.join(map(str, ranks))} padded with "
            f"zeros to rank {uniform.rank}."
        )
        yield Change(Step.PADDED, text, padded)
    yield from scaled_changes(listed, "which rounds nothing within the range of their type")


def scaled_changes(pairs: Iterable[AdaptedPair], exactly: str) -> Iterator[Change]:
    """Say which pairs are multiplied.

    Args:
        pairs: All that are written.
        exactly: What it means for those that are not rounded, half a sentence.
    """
    listed = tuple(pairs)
    for exact in (True, False):
        scaled = [each for each in listed if each.exact is exact and set(each.factors) - {1.0}]
        if scaled:
            factors = sorted({factor for each in scaled for factor in each.factors} - {1.0})
            shown = ", ".join(f"{factor:.6g}" for factor in factors[:5])
            how = exactly if exact else "which rounds their numbers"
            text = f"B of {counted(len(scaled), 'pair')} multiplied by {shown}, {how}."
            yield Change(Step.SCALED, text, tuple(each.path for each in scaled))


def is_power_of_two(factor: float) -> bool:
    """Whether multiplying by it rounds nothing (0 is one of these)."""
    return factor == 0 or abs(math.frexp(factor)[0]) == 0.5


def _rank(pair: Pair) -> int:
    return pair.rank


def _scale(scalings: Iterable[float]) -> float:
    counts = Counter(scalings)
    usable = [scale for scale in counts if scale] or [0.0]

    def rounded(scale: float) -> tuple[int, int]:
        others = (n for s, n in counts.items() if scale and not is_power_of_two(s / scale))
        return sum(others), -counts[scale]

    return min(usable, key=rounded)


def _alpha(scale: float, rank: int) -> float:
    """Return the number whose quotient by the rank is the scale, to the last bit if one is."""
    alpha = scale * rank
    near = (alpha, math.nextafter(alpha, math.inf), math.nextafter(alpha, -math.inf))
    alpha = next((each for each in near if each / rank == scale), alpha)
    return int(alpha) if alpha.is_integer() else alpha
