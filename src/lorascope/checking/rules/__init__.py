"""The rules, one file each, in the order of their codes."""

from lorascope.checking.rule import Rule
from lorascope.checking.rules import lt001_nothing_matches, lt002_entry_matches_nothing

RULES: tuple[Rule, ...] = (
    lt001_nothing_matches.RULE,
    lt002_entry_matches_nothing.RULE,
)
"""All rules by code."""
