"""LT038: lorascope cannot say what PEFT does with the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_written
from lorascope.core.finding import Severity

_SLOW = ("takes longer than", "take longer than", "could not be matched")


def find(subject: Subject) -> Iterator[Problem]:
    """Tell why the rules that ask what PEFT does were not run."""
    reason = subject.unmodelled
    if reason is None:
        return
    is_slow = any(words in reason for words in _SLOW)
    stated = subject.recipe.stated
    where = next((name for name in stated if len(name) > 1 and name in reason), "")
    yield Problem(
        entry=as_written(stated[where]) if where else "",
        message=f"Most rules were not run. {reason}",
        hint=(
            "PEFT matches it against the same names and takes as long: write it simpler."
            if is_slow
            else "What these rules would find is not known; nothing is wrong with it by itself."
        ),
        where=where,
        severity=Severity.WARNING if is_slow else None,
    )


RULE = Rule(
    code="LT038",
    name="not-modelled",
    severity=Severity.INFO,
    summary="lorascope cannot say what PEFT does with this configuration.",
    why=(
        "Some settings build another adapter than plain LoRA or DoRA, or new layers, which "
        "lorascope does not follow; and a regular expression may take longer than it waits. "
        "Silence of the other rules then means nothing."
    ),
    instead="Check the configuration without that setting, or write the pattern simpler.",
    bad=Example(
        "Llama-3.1-8B",
        {"target_modules": ["q_proj"], "layer_replication": [[0, 16], [8, 32]]},
    ),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj"]}),
    reports=("huggingface/peft#1368",),
    needs=Needs.MODEL,
    find=find,
)
