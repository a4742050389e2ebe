"""The largest rank under a number of trainable parameters, worked out without trying."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.selection import Chosen, RankRule, Selection, select


def unit_within(
    inventory: Inventory, request: PlanRequest, selection: Selection, trainable: int
) -> int:
    """Return the largest unit under the request's `max_params`.

    Args:
        inventory: The model.
        request: Says the most parameters.
        selection: What the request means on the model.
        trainable: Trainable parameters at the selection's own unit.

    Raises:
        PlanError: Even the smallest is too large.
    """
    limit = request.max_params or 0
    slopes = params_per_rank(selection.chosen)
    fixed = trainable - lora_params(slopes, selection.unit)
    step = 2 if request.init == "orthogonal" else 1
    unit = largest_unit(slopes, fixed, limit, step)
    if unit:
        return unit
    least = fixed + lora_params(slopes, step)
    raise PlanError(
        f"--max-params {limit:,}: {selection.name} has {least:,} trainable parameters at its"
        f" lowest rank, {least - limit:,} too many.",
        _cheaper(inventory, request, limit, fixed, least),
    )


def _cheaper(
    inventory: Inventory, request: PlanRequest, limit: int, fixed: int, least: int
) -> str | None:
    """The dearest preset that fits, else the cheapest of all."""
    sizes: dict[str, int] = {}
    for name in PRESETS:
        other = PlanRequest(
            preset=name, layers=request.layers, exclude=request.exclude, towers=request.towers
        )
        try:
            chosen = select(inventory, other).chosen
        except PlanError:
            continue
        sizes[name] = fixed + lora_params(params_per_rank(chosen), 1)
    fitting = {name: size for name, size in sizes.items() if size <= limit}
    if fitting:
        name = max(fitting, key=lambda each: fitting[each])
        return f"--preset {name} fits: {fitting[name]:,} at rank {PRESETS[name].shares[0].weight}."
    cheaper = {name: size for name, size in sizes.items() if size < least}
    if cheaper:
        name = min(cheaper, key=lambda each: cheaper[each])
        return f"The cheapest preset is {name}: {cheaper[name]:,} at its lowest rank."
    return "No preset is cheaper; fewer --layers are."


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
