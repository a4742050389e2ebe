"""Rules that find what is wrong with a LoRA configuration before anyone trains with it."""

from lorascope.checking.check import findings_of, rules_named
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.rules import RULES
from lorascope.checking.subject import Subject
from lorascope.checking.subject_of import subject_of

__all__ = [
    "RULES",
    "Example",
    "Needs",
    "Problem",
    "Rule",
    "Subject",
    "findings_of",
    "rules_named",
    "subject_of",
]
