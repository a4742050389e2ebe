"""One role from what a module's name says and what the forward pass showed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lorascope.core.roles import Evidence, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lorascope.core.inventory import Module
    from lorascope.core.observation import Observed

SAME_FLOW: Mapping[Role, Role] = {
    Role.MOE_SHARED_GATE: Role.FFN_GATE,
    Role.MOE_SHARED_UP: Role.FFN_UP,
    Role.MOE_SHARED_GATE_UP: Role.FFN_GATE_UP,
    Role.MOE_SHARED_DOWN: Role.FFN_DOWN,
    Role.MOE_EXPERTS_GATE: Role.FFN_GATE,
    Role.MOE_EXPERTS_UP: Role.FFN_UP,
    Role.MOE_EXPERTS_GATE_UP: Role.FFN_GATE_UP,
    Role.MOE_EXPERTS_DOWN: Role.FFN_DOWN,
}
"""Role → the one that data flow shows for it where it cannot tell experts from a feed-forward."""

PLACES = frozenset({"conv", "embedding", "head", "norm", "projector"})
"""Groups of roles that say where a module stands. One that stands there may work as part of a
feed-forward: a projector of two layers is one."""

_NAMED = "the name is kept."
_OBSERVED = "data flow is believed, since the class is not one of transformers' own."

MOST_NOTES = 5
"""Kinds of disagreement that are told one by one; more are only counted."""


OVERRULED = frozenset({"attention", "ffn"})
"""Groups of roles in which data flow may overrule a name."""


def merged(
    named: Role | None, seen: Observed | None, *, may_overrule: bool = False
) -> tuple[Role, Evidence]:
    """Return the role of a module and how it is known.

    Args:
        named: The role that a name rule gives; None if none does.
        seen: What the forward pass showed of it; None if nothing.
        may_overrule: Whether the pass decides where both say a role of `OVERRULED`: the name comes
            from a generic row, the class is nobody's that the rows were checked against, and the
            pass came to its end.

    Returns:
        The named role, as `observed` if the pass agrees; else the observed one; else `unknown`.
    """
    flow = None if seen is None else seen.role
    if named is None or named is Role.UNKNOWN:
        return (Role.UNKNOWN, Evidence.UNKNOWN) if flow is None else (flow, Evidence.OBSERVED)
    agrees = flow is not None and flow in (named, SAME_FLOW.get(named))
    if flow is not None and not agrees and may_overrule and {named.group, flow.group} <= OVERRULED:
        return flow, Evidence.OBSERVED
    return named, Evidence.OBSERVED if agrees else Evidence.NAMED


def differs(module: Module) -> bool:
    """Whether the forward pass showed another role than the one a module has by name."""
    flow = None if module.observed is None else module.observed.role
    if flow is None or flow in (module.role, SAME_FLOW.get(module.role)):
        return False
    return not (module.role.group in PLACES and flow.group == "ffn")


def disagreements(modules: Iterable[Module]) -> list[str]:
    """Return one sentence for each kind of disagreement between names and the forward pass."""
    kinds: dict[tuple[Role, Role, str], list[str]] = {}
    for module in modules:
        if module.named_role is not None:
            kinds.setdefault((module.named_role, module.role, _OBSERVED), []).append(module.path)
        elif module.observed is not None and module.observed.role is not None and differs(module):
            kinds.setdefault((module.role, module.observed.role, _NAMED), []).append(module.path)
    told = [
        f"By name {_counted(paths)} {named.value}, by data flow {flow.value}; {which}"
        for (named, flow, which), paths in kinds.items()
    ]
    return bounded(told, "kinds of disagreement between names and data flow")


def bounded(told: list[str], what: str) -> list[str]:
    """Return at most `MOST_NOTES` sentences and one that counts the others.

    Args:
        told: The sentences.
        what: What there are more of, in the plural.
    """
    if len(told) <= MOST_NOTES:
        return told
    return [*told[:MOST_NOTES], f"And {len(told) - MOST_NOTES} more {what}."]


def _counted(paths: list[str]) -> str:
    if len(paths) == 1:
        return f"{paths[0]} is"
    return f"{len(paths)} modules (the first is {paths[0]}) are"
