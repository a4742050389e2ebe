"""Which blocks need not be run because others, which are run, are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from lorascope.memory.blocks import stacks_of
from lorascope.observe.alike import Repeats, repeats, signature

if TYPE_CHECKING:
    from lorascope.core.plan import Plan
    from lorascope.core.training import TrainingSetup

PERIODS_RUN = 4
"""Of a repeated period the first three and the last are run. The second and the third must do the
same, byte for byte; the first and the last have other neighbours."""


def zones_of(model: nn.Module, plan: Plan, setup: TrainingSetup) -> tuple[Repeats, ...]:
    """Return the parts of the model's stacks in which a period of blocks repeats often enough.

    Blocks count as alike if their modules are, if the plan adapts the same of them at the same
    rank, and if a gradient flows into both or into none. Neighbours count as well, because a
    period is only cut where it is followed by itself.

    Args:
        model: Before injection.
        plan: Which modules get adapters.
        setup: With checkpointing a gradient flows into every block.

    Returns:
        Parts of the list of all blocks, as `stacks_of` gives them one after the other.
    """
    found: list[Repeats] = []
    offset = 0
    if _shares_between_blocks(model):
        return ()
    for stack in stacks_of(model):
        kinds = _kinds(model, stack, plan, setup)
        found += [replace(zone, start=offset + zone.start) for zone in repeats(kinds, PERIODS_RUN)]
        offset += len(stack)
    return tuple(found)


def left_out(zone: Repeats) -> range:
    """Return the indices of the blocks of `zone` that are not run."""
    return range(zone.start + (PERIODS_RUN - 1) * zone.period, zone.stop - zone.period)


def _kinds(
    model: nn.Module, stack: Sequence[str], plan: Plan, setup: TrainingSetup
) -> list[Hashable]:
    gradient_flows = setup.gradient_checkpointing
    kinds: list[Hashable] = []
    for path in stack:
        adapted = tuple(_adapted(path, plan))
        kinds.append((signature(model.get_submodule(path)), adapted, gradient_flows))
        gradient_flows = gradient_flows or bool(adapted)
    return kinds


def _adapted(block: str, plan: Plan) -> Iterator[Hashable]:
    start = f"{block}."
    for target in plan.targets:
        if target.path.startswith(start):
            yield target.path.removeprefix(start), target.rank
    for path in plan.saved_modules:
        if path.startswith(start):
            yield path.removeprefix(start), None


def _shares_between_blocks(model: nn.Module) -> bool:
    holders: Counter[int] = Counter()
    for stack in stacks_of(model):
        for path in stack:
            holders.update({id(parameter) for parameter in model.get_submodule(path).parameters()})
    return any(count > 1 for count in holders.values())
