"""What a plan says where names and the forward pass give a module different roles."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Role

_GROUPS = frozenset({"attention", "ffn"})
_MOST_PATHS = 3


def disagreeing(inventory: Inventory) -> tuple[Finding, ...]:
    """Return a warning for each kind of module whose name and data flow say different roles.

    Only attention and feed-forward roles count: those are what presets choose by.
    """
    kinds: dict[tuple[Role, Role, bool], list[str]] = {}
    for path, named, flow, is_overruled in _differing(inventory):
        kinds.setdefault((named, flow, is_overruled), []).append(path)
    return tuple(_finding(*kind, tuple(paths)) for kind, paths in kinds.items())


def _differing(inventory: Inventory) -> Iterator[tuple[str, Role, Role, bool]]:
    for module in inventory.adaptable:
        flow = _flow(module)
        if flow is None:
            continue
        named = module.named_role or module.role
        if named is not flow and named.group in _GROUPS and flow.group in _GROUPS:
            yield module.path, named, flow, module.named_role is not None


def _flow(module: Module) -> Role | None:
    return None if module.observed is None else module.observed.role


def _finding(named: Role, flow: Role, is_overruled: bool, paths: tuple[str, ...]) -> Finding:
    taken = flow if is_overruled else named
    count = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Finding(
        "role_disagrees",
        "warning",
        paths[0],
        f"The name of this module{count} says {named.value}, the forward pass shows {flow.value};"
        f" the plan takes {taken.value}.",
        "Name what you mean with only or exclude if that is wrong.",
        paths[:_MOST_PATHS],
    )
