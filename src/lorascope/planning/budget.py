"""The largest rank under a number of trainable parameters, worked out without trying."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping

from lorascope.planning.selection import Chosen, RankRule


def params_per_rank(chosen: Iterable[Chosen]) -> Mapping[RankRule, int]:
    """LoRA parameters per unit of rank, by rank rule."""
    slopes: Counter[RankRule] = Counter()
    for each in chosen:
        slopes[each.rule] += each.module.lora_params_per_rank
    return slopes


def lora_params(slopes: Mapping[RankRule, int], unit: int) -> int:
    """Parameters of the LoRA matrices at this unit."""
    return sum(slope * rule.rank(unit) for rule, slope in slopes.items())


def largest_unit(slopes: Mapping[RankRule, int], fixed: int, limit: int, step: int = 1) -> int:
    """Return the largest unit (a multiple of `step`) with at most `limit` parameters; 0 if none.

    Args:
        slopes: LoRA parameters per unit of rank, by rank rule.
        fixed: Trainable parameters that do not depend on the rank: heads, magnitudes, biases.
        limit: Most trainable parameters.
        step: Units to go up in.
    """
    # Every LoRA has at least one parameter per unit, so no unit above the limit can fit.
    multiples = range(step, limit + 1, step)
    found = bisect_right(multiples, limit, key=lambda unit: fixed + lora_params(slopes, unit))
    return found * step
