"""Which share of a model's weights is under an adapter, and which is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import counted, exact, percent
from lorascope.core.roles import PERCEPTION, Kind, Tower
from lorascope.report.inspect_rows import GROUPS, own_params


def trainable_text(params: int, total: int) -> str:
    """Write how many parameters are trained, and their share of the model's `total`."""
    return f"{exact(params)} parameters, {percent(params, total)} of the model's {exact(total)}"


class _Target(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def is_parameter(self) -> bool: ...


def adapted_text(targets: Iterable[_Target], inventory: Inventory) -> str:
    """Count what is adapted: `64 modules and 48 expert parameters`; empty for nothing."""
    modules = experts = others = 0
    for target in targets:
        module = inventory.by_path.get(target.path)
        if not target.is_parameter:
            modules += 1
        elif module is not None and module.kind is Kind.EXPERT_PARAMETER:
            experts += 1
        else:
            others += 1
    counts = {
        "module": modules,
        "expert parameter": experts,
        "other parameter" if experts else "parameter": others,
    }
    parts = [counted(count, noun) for noun, count in counts.items() if count]
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


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
        title = _title(module, inventory)
        left[title] = left.get(title, 0) + own[module.path]
    total = inventory.model.total_params
    ordered = sorted(left.items(), key=lambda item: -item[1])
    return ", ".join(f"{title} {percent(params, total)}" for title, params in ordered if params)


def _title(module: Module, inventory: Inventory) -> str:
    if module.kind is Kind.CONTAINER:
        return "norms and others"
    if module.tower in PERCEPTION and module.tower not in inventory.model.main_towers:
        return f"{module.tower} tower" if module.tower is not Tower.PROJECTOR else "projector"
    return GROUPS[module.role.group]
