"""Presets, ranks, budgets and counts: a request worked out for one model."""

from lorascope.planning.compare import PEFT_DEFAULT, compare
from lorascope.planning.evidence import TASKS
from lorascope.planning.make_plan import make_plan
from lorascope.planning.options import request_from
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest

__all__ = [
    "PEFT_DEFAULT",
    "PRESETS",
    "TASKS",
    "PlanRequest",
    "compare",
    "make_plan",
    "request_from",
]
