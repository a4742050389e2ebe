"""PEFT's selection of modules as pure functions over an inventory."""

from lorascope.match.match import match
from lorascope.match.peft_defaults import default_targets
from lorascope.match.result import (
    EntryMatch,
    Match,
    MatchedTarget,
    Reason,
    SavedModule,
    TrainedTokens,
    Where,
)
from lorascope.match.versions import NEWEST, OLDEST

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
    "match",
]
