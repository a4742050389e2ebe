"""Classifier heads, which are new in the fine-tuned model and so are trained and saved whole."""

from __future__ import annotations

from lorascope.core.inventory import Inventory
from lorascope.core.roles import Role
from lorascope.matching.task_heads import late_heads


def saved_heads(inventory: Inventory) -> tuple[str, ...]:
    """Return paths of the heads to save whole, outermost modules, in model order.

    These are the heads by role, and those that PEFT saves by itself for the task type. A
    top-level module that holds nothing adaptable but heads is taken as a whole.
    """
    implied = late_heads(inventory.model.task_type)
    if not implied:
        return ()
    heads = [
        module.path
        for module in inventory.adaptable
        if module.role is Role.HEAD_CLASSIFIER or _top(module.path) in implied
    ]
    mixed = {_top(module.path) for module in inventory.adaptable if module.path not in heads}
    return tuple(dict.fromkeys(path if _top(path) in mixed else _top(path) for path in heads))


def _top(path: str) -> str:
    return path.partition(".")[0]
