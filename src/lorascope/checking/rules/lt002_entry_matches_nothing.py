"""LT002: one entry of several matches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.missed import Missed, Why, missed_targets
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.matching import Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that hit nothing beside others of which that is not so, or is told elsewhere."""
    every = missed_targets(subject)
    if len(every) == len(subject.list_targets) and all(e.why is Why.UNKNOWN for e in every):
        return
    for missed in every:
        if missed.why is Why.PATH:
            yield _half_a_path(missed)
        if missed.why is Why.CASE:
            yield _in_other_case(subject, missed)
        if missed.why is not Why.UNKNOWN:
            continue
        near = missed.entry.nearest
        yield Problem(
            entry=missed.entry.entry,
            message=_message(subject),
            hint=f"The nearest real names are {listed(near)}." if near else "Remove it.",
            where=Where.TARGET_MODULES,
        )


def _message(subject: Subject) -> str:
    if subject.refused is not None or not subject.targets:
        return "It matches no module."
    return "It matches no module, and PEFT says nothing because other entries match."


def _in_other_case(subject: Subject, missed: Missed) -> Problem:
    """Tell of an entry that is a name but for upper and lower case."""
    [name] = missed.instead
    is_listed = name in subject.list_targets
    edit = Edit(Where.TARGET_MODULES, missed.entry.entry, () if is_listed else (name,))
    return Problem(
        entry=missed.entry.entry,
        message=f"{_message(subject)} Upper and lower case count: this model has {name!r}.",
        hint=f"{name!r} is listed already; remove it." if is_listed else f"Write {name!r}.",
        where=Where.TARGET_MODULES,
        edits=(edit,),
        severity=None if subject.targets else Severity.ERROR,
    )


def _half_a_path(missed: Missed) -> Problem:
    """Tell of an entry that PEFT would take as the end of names, and mlx-lm does not."""
    [*instead] = missed.instead
    edit = Edit(Where.TARGET_MODULES, missed.entry.entry, tuple(instead))
    return Problem(
        entry=missed.entry.entry,
        message=(
            "mlx-lm compares keys with the whole path inside a block, of which this is only the "
            "end: it adapts nothing, without a word."
        ),
        hint=f"Write {listed(instead)}.",
        where=Where.TARGET_MODULES,
        edits=(edit,) if len(instead) == 1 else (),
    )


RULE = Rule(
    code="LT002",
    name="entry-matches-nothing",
    severity=Severity.WARNING,
    summary="One entry of `target_modules` matches no module while others do.",
    why=(
        "PEFT raises only if nothing at all is matched. A misspelt or foreign entry is skipped "
        "without a word, the training runs, and what it was to adapt stays frozen."
    ),
    instead="Correct the entry to a name of this model, or remove it.",
    bad=Example("Llama-3.1-8B", {"target_modules": ["q_proj", "v_projj"]}),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"]}),
    reports=("huggingface/peft#1959", "huggingface/peft#3658"),
    needs=Needs.MATCH,
    find=find,
)
