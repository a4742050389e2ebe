"""Presets, ranks, budgets and counts: a request worked out for one model."""

from lorascope.core.fit import Step, Tried
from lorascope.planning.compare import PEFT_DEFAULT, compare
from lorascope.planning.evidence import TASKS
from lorascope.planning.fitted import Fitted
from lorascope.planning.make_plan import make_plan
from lorascope.planning.options import request_from
from lorascope.planning.preferences import DEFAULT_TRADES, TRADES, Budget
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.scores import parse_scores
from lorascope.planning.work_out import work_out

__all__ = [
    "DEFAULT_TRADES",
    "PEFT_DEFAULT",
    "PRESETS",
    "TASKS",
    "TRADES",
    "Budget",
    "Fitted",
    "PlanRequest",
    "Step",
    "Tried",
    "compare",
    "make_plan",
    "parse_scores",
    "request_from",
    "work_out",
]
