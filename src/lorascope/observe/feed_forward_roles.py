"""From the feed-forward blocks that were seen to roles: pure, no tensor in sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lorascope.core.roles import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from lorascope.observe.feed_forwards import FeedForward, FeedForwards


class _Names(NamedTuple):
    gate: Role
    up: Role
    gate_up: Role
    down: Role


_DENSE = _Names(Role.FFN_GATE, Role.FFN_UP, Role.FFN_GATE_UP, Role.FFN_DOWN)
_ROUTED = _Names(
    Role.MOE_EXPERTS_GATE,
    Role.MOE_EXPERTS_UP,
    Role.MOE_EXPERTS_GATE_UP,
    Role.MOE_EXPERTS_DOWN,
)
_SHARED = _Names(
    Role.MOE_SHARED_GATE,
    Role.MOE_SHARED_UP,
    Role.MOE_SHARED_GATE_UP,
    Role.MOE_SHARED_DOWN,
)


def feed_forward_roles(seen: FeedForwards, stacks: Collection[str]) -> dict[str, Role]:
    """Return path → role of every layer that takes part in a feed-forward block.

    Args:
        seen: What the forward pass showed.
        stacks: Paths of the stacks of experts.
    """
    routed = {
        down for down in seen.blocks if down in stacks or seen.weighed.get(down) in seen.choosers
    }
    # Without experts what chooses is no router: Hiera pools by the maximum of a projection.
    choosers = seen.choosers if routed or stacks else set[str]()
    routers = choosers | {seen.weighed[down] for down in routed if down in seen.weighed}
    shared = _shared(seen, routed, routers)
    roles: dict[str, Role] = dict.fromkeys(routers, Role.MOE_ROUTER)
    for down, block in seen.blocks.items():
        names = _ROUTED if down in routed else _SHARED if down in shared else _DENSE
        for path, role in _roles_of_one(block, names):
            roles.setdefault(path, role)
        if down in shared and down in seen.weighed:
            roles.setdefault(seen.weighed[down], Role.MOE_SHARED_ROUTER)
    return roles


def _roles_of_one(block: FeedForward, names: _Names) -> Iterator[tuple[str, Role]]:
    if block.gate is not None and block.gate == block.up:
        yield block.gate, names.gate_up
    else:
        if block.gate is not None:
            yield block.gate, names.gate
        yield block.up, names.up
    yield block.down, names.down


def _shared(
    seen: FeedForwards, routed: Collection[str], routers: Collection[str]
) -> frozenset[str]:
    """Return the last layers of blocks that read what a router reads and are added to experts."""
    scored = {seen.inputs[path] for path in routers if path in seen.inputs}
    beside = frozenset().union(*(downs for downs in seen.summed if not downs.isdisjoint(routed)))
    return frozenset(
        down
        for down in beside - frozenset(routed)
        if (block := seen.blocks.get(down)) is not None and seen.inputs[block.up] in scored
    )
