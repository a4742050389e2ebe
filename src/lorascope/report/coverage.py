"""Which share of a model's weights is under an adapter, and which is not."""

from __future__ import annotations

from collections.abc import Collection

from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.report.inspect_rows import GROUPS, own_params
from lorascope.report.numbers import percent


def uncovered_text(inventory: Inventory, covered: Collection[str]) -> str:
    """Say which weights no adapter touches, by group, the largest first.

    Args:
        inventory: The whole model.
        covered: Full names of the adapted modules and expert parameters.
    """
    own = own_params(inventory)
    left: dict[str, int] = {}
    for module in inventory.modules:
        if module.path in covered:
            continue
        title = _title(module.kind, module.role.group)
        if module.tower not in inventory.model.main_towers and module.kind is not Kind.CONTAINER:
            title = f"{module.tower} tower"
        left[title] = left.get(title, 0) + own[module.path]
    total = inventory.model.total_params
    ordered = sorted(left.items(), key=lambda item: -item[1])
    return ", ".join(f"{title} {percent(params, total)}" for title, params in ordered if params)


def _title(kind: Kind, group: str) -> str:
    return "norms and others" if kind is Kind.CONTAINER else GROUPS[group]
