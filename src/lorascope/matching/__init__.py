"""PEFT's selection of modules as pure functions over an inventory."""

from lorascope.matching.explain import explain
from lorascope.matching.match import match
from lorascope.matching.peft_defaults import default_targets
from lorascope.matching.result import (
    EntryMatch,
    Match,
    MatchedTarget,
    Reason,
    SavedModule,
    TrainedTokens,
    Where,
)
from lorascope.matching.versions import NEWEST, OLDEST

__all__ = [
    "NEWEST",
    "OLDEST",
    "EntryMatch",
    "Match",
    "MatchedTarget",
    "Reason",
    "SavedModule",
    "TrainedTokens",
    "Where",
    "default_targets",
    "explain",
    "match",
]
