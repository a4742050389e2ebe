"""A request at another rank."""

from __future__ import annotations

from dataclasses import replace

from lorascope.planning.request import PlanRequest
from lorascope.planning.selection import wishes_of


def at_unit(request: PlanRequest, unit: int, asked: int) -> PlanRequest:
    """Return the request with its ranks stated: those of `unit`, in the same proportions.

    An alpha that is stated is taken along, so that alpha/r is kept.

    Args:
        request: What is asked.
        unit: Unit of the ranks to state (see `Selection.unit`).
        asked: Unit at which the request's alpha holds.
    """
    wishes, _ = wishes_of(replace(request, max_params=None))
    alpha = None if request.alpha is None else _plain(request.alpha * unit / asked)
    if request.roles:
        roles = tuple(f"{wish.word}={wish.weight * unit}" for wish in wishes)
        return replace(request, roles=roles, rank=None, alpha=alpha, max_params=None)
    return replace(request, rank=wishes[0].weight * unit, alpha=alpha, max_params=None)


def states_rank(request: PlanRequest) -> bool:
    """Whether the request itself states a rank, for all targets or for a role."""
    return request.rank is not None or any(role.rank for role in request.parsed_roles)


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number
