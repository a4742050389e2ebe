"""What scores leave to choose from: modules, what each is worth and what it costs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.planning.knapsack import Item
from lorascope.planning.lacking import asked_by
from lorascope.planning.make_plan import make_plan
from lorascope.planning.request import PlanRequest
from lorascope.planning.scored_modules import module_scores


@dataclass(frozen=True, slots=True)
class Scored:
    """What the scores leave to choose from."""

    inventory: Inventory
    request: PlanRequest
    """Means all that may be chosen, at the ranks of the plan."""
    items: tuple[Item, ...]
    """Modules with a score above 0; the first cost is their trainable parameters."""
    room: int
    """Trainable parameters that the choice may have."""
    scored: int
    """Modules that have a score."""
    unmeant: int
    """Modules with a score above 0 that the request does not mean."""

    def request_for(self, names: Collection[str]) -> PlanRequest:
        """The request that means these modules alone."""
        return replace(self.request, only=frozenset(names))


def scored_items(
    inventory: Inventory, request: PlanRequest, scores: Mapping[str, float], most: int | None
) -> Scored:
    """Return what may be chosen: what the request means and has a score above 0.

    Args:
        inventory: The model.
        request: Every linear of the blocks where it names no preset, task or roles.
        scores: As handed in, by full name, end of a name, or role.
        most: Most trainable parameters; None for no limit.

    Raises:
        PlanError: A score names nothing, none is above 0, or the smallest module is too large.
    """
    named = request.preset is not None or request.task is not None or request.roles
    request = replace(request, max_params=None, preset=request.preset if named else "all-linear")
    values = module_scores(inventory, scores)
    everything = make_plan(inventory, request)
    params = {t.path: t.params + _bias(inventory, request, t.path) for t in everything.targets}
    items = tuple(
        Item(path, values[path], (count, 0))
        for path, count in params.items()
        if values.get(path, 0) > 0
    )
    positive = [path for path, value in values.items() if value > 0]
    if not items:
        raise _nothing_to_choose(request, len(values), len(positive), is_stated=bool(named))
    fixed = everything.trainable_params - sum(params.values())
    room = sum(params.values()) if most is None else most - fixed
    least = min(item.costs[0] for item in items)
    if most is not None and least > room:
        raise PlanError(
            f"--max-params {most:,}: the smallest scored module has {least + fixed:,} trainable"
            f" parameters at its rank, {least - room:,} too many.",
            "Lower the --rank.",
        )
    return Scored(inventory, request, items, room, len(values), len(positive) - len(items))


def _nothing_to_choose(
    request: PlanRequest, scored: int, positive: int, *, is_stated: bool
) -> PlanError:
    what = f"None of the {counted(scored, 'scored module')} may be adapted: "
    if not positive:
        return PlanError(
            f"{what}none has a score above 0.",
            "A module whose score is 0 or less is never chosen.",
        )
    if is_stated:
        return PlanError(
            f"{what}{positive:,} have a score above 0, and {asked_by(request)} means none of"
            " these.",
        )
    return PlanError(
        f"{what}{positive:,} have a score above 0, and none of these is a linear of a block.",
        "To choose among other modules, name their roles with --roles.",
    )


def _bias(inventory: Inventory, request: PlanRequest, path: str) -> int:
    """Parameters of the bias that PEFT trains with a module's adapter."""
    if request.bias != "lora_only":
        return 0
    return sum(p.count for p in inventory.by_path[path].parameters if p.name == "bias")
