"""Presets, ranks, budgets and counts: a request worked out for one model."""

from lorascope.plan.compare import PEFT_DEFAULT, compare
from lorascope.plan.evidence import TASKS
from lorascope.plan.make_plan import make_plan
from lorascope.plan.presets import PRESETS
from lorascope.plan.request import PlanRequest

__all__ = ["PEFT_DEFAULT", "PRESETS", "TASKS", "PlanRequest", "compare", "make_plan"]
