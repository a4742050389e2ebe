"""The roles of a plan with fewer and fewer of them, and the ranks that each may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory, Module
from lorascope.planning.budget import unit_within
from lorascope.planning.limits import check_ranks
from lorascope.planning.make_plan import make_plan
from lorascope.planning.preferences import DROPS
from lorascope.planning.request import PlanRequest
from lorascope.planning.selection import Selection, select
from lorascope.planning.units import at_unit, states_rank
from lorascope.planning.words import WORDS

_Drops = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Level:
    """What of the request's roles is left, and at which ranks."""

    drops: _Drops
    """The groups of words of `DROPS` that are gone, in order; empty for the request itself."""
    request: PlanRequest
    units: tuple[int, ...]
    """Units of the ranks that may be had, the highest first; never empty."""
    lowest: int
    """The lowest unit that there is, whether or not it may be had."""
    main_rank: int
    """Rank of the main targets in one unit."""
    alpha_unit: int
    """Unit at which the request's alpha holds."""

    def at(self, unit: int) -> PlanRequest:
        """The request with these roles and ranks."""
        return at_unit(self.request, unit, self.alpha_unit)


def levels(
    inventory: Inventory,
    request: PlanRequest,
    max_params: int | None,
    *,
    trade_rank: bool,
    trade_roles: bool,
) -> tuple[Level, ...]:
    """Return the levels that keep to `max_params`, the one with most roles first.

    The rank never rises from one level to the next.

    Args:
        inventory: The model.
        request: What is asked; its `max_params` is left aside.
        max_params: Most trainable parameters; None for no limit. Without a rank in the request it
            chooses the highest one, else it limits it.
        trade_rank: Whether ranks below the highest may be had.
        trade_roles: Whether a level with fewer roles will do where the request itself keeps not
            to `max_params`.

    Raises:
        PlanError: The request has no plan, or no level that will do keeps to `max_params`.
    """
    request = replace(request, max_params=None)
    found: list[Level] = []
    refusal: PlanError | None = None
    for drops, each in _with_fewer_roles(inventory, request):
        try:
            selection = select(inventory, each)
            top = _top(inventory, each, selection, max_params, trade_rank)
        except PlanError as error:
            if not trade_roles and not drops:
                raise
            # The first refusal is about the request itself.
            refusal = refusal or error
            continue
        if found:
            top = min(top, found[0].units[0])
        found.append(_level(drops, each, selection, top, trade_rank))
    if refusal is not None and not found:
        raise refusal
    return tuple(found)


def _with_fewer_roles(
    inventory: Inventory, request: PlanRequest
) -> Iterator[tuple[_Drops, PlanRequest]]:
    yield (), request
    chosen = [each.module for each in select(inventory, request).chosen]
    kept = chosen
    drops: list[tuple[str, ...]] = []
    for count, words in enumerate(DROPS, 1):
        gone = {word for group in DROPS[:count] for word in group}
        left = [module for module in chosen if not _is_gone(module, gone)]
        if not left:
            return
        if len(left) < len(kept):
            kept = left
            drops.append(words)
            yield tuple(drops), replace(request, only=frozenset(m.path for m in kept))


def _is_gone(module: Module, gone: set[str]) -> bool:
    """Whether a module does nothing but what is dropped."""
    does = {word for word, roles in WORDS.items() if module.role in roles}
    return bool(does) and does <= gone


def _top(
    inventory: Inventory,
    request: PlanRequest,
    selection: Selection,
    max_params: int | None,
    trade_rank: bool,
) -> int:
    """The highest unit that may be had."""
    if max_params is None:
        return selection.unit
    trainable = make_plan(inventory, request).trainable_params
    limited = replace(request, rank=None, max_params=max_params)
    most = unit_within(inventory, limited, selection, trainable)
    if not states_rank(request):
        return most
    if most < selection.unit and not trade_rank:
        raise PlanError(
            f"--max-params {max_params:,}: at the rank asked {selection.name} has {trainable:,}"
            f" trainable parameters, {trainable - max_params:,} too many.",
            "Ask for no rank, which is then chosen, or let it be lowered with --trade rank.",
        )
    return min(most, selection.unit)


def _level(
    drops: _Drops, request: PlanRequest, selection: Selection, top: int, trade_rank: bool
) -> Level:
    step = 2 if request.init == "orthogonal" else 1
    all_units = [u for u in range(top, 0, -step) if _is_allowed(request, selection, u)]
    # Where no rank is allowed, `make_plan` says why of the highest one.
    all_units = all_units or [top]
    return Level(
        drops,
        request,
        tuple(all_units) if trade_rank else (all_units[0],),
        all_units[-1],
        selection.main.weight,
        top if not states_rank(request) else selection.unit,
    )


def _is_allowed(request: PlanRequest, selection: Selection, unit: int) -> bool:
    try:
        check_ranks(request, selection, unit)
    except PlanError:
        return False
    return True
