"""LT016: an entry of `target_parameters` matches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lorascope.checking.missed import Missed, Why, missed_parameters
from lorascope.checking.naming import parameter_ending
from lorascope.checking.reaching import uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.roles import Kind
from lorascope.matching import Where
from lorascope.matching.names import EntryList

_SIGNS = re.compile(r"[\\^$*+?{}()|]")
"""What a name has not, and a regular expression has. Brackets may be a list's own."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name no parameter while something else is adapted."""
    if subject.refused is not None or not uses_peft(subject):
        return
    missed = [each for each in missed_parameters(subject) if each.why is not Why.PUNCTUATION]
    if not missed:
        return
    holders: dict[str, list[Module]] = {}
    known = EntryList(each.entry.entry for each in missed)
    for path, module in subject.modules.items():
        for entry in known.naming(path):
            holders.setdefault(entry, []).append(module)
    experts = dict.fromkeys(
        parameter_ending(m) for m in subject.model.adaptable if m.kind is Kind.EXPERT_PARAMETER
    )
    for each in missed:
        yield _problem(subject, each, holders.get(each.entry.entry, ()), tuple(experts))


def _problem(
    subject: Subject, missed: Missed, holders: Sequence[Module], experts: Sequence[str]
) -> Problem:
    entry = missed.entry.entry
    message = "It matches no parameter, and PEFT says nothing because other targets match."
    if holders:
        message = "It is a module's name, not a parameter's, and PEFT says nothing of it."
        hint = _inside(subject, entry, holders)
    elif _SIGNS.search(entry):
        message = (
            "It is read as the end of a name, not as a regular expression, and no name has it; "
            "PEFT says nothing because other targets match."
        )
        hint = _experts(subject, experts)
    elif missed.instead and experts:
        names = "name is" if len(missed.instead) == 1 else "names are"
        hint = f"The nearest real {names} {listed(missed.instead)}."
    else:
        hint = _experts(subject, experts)
    return Problem(entry=entry, message=message, hint=hint, where=Where.TARGET_PARAMETERS)


def _inside(subject: Subject, entry: str, holders: Sequence[Module]) -> str:
    held = dict.fromkeys(
        f"{entry}.{parameter.name}" for module in holders for parameter in module.parameters
    )
    if not held:
        return f"Name a parameter inside it, or put it into {subject.recipe.key('target_modules')}."
    weights = f"{entry}.weight" in held
    also = f", or put it into {subject.recipe.key('target_modules')}" if weights else ""
    return f"Name what it holds: {listed(held)}{also}."


def _experts(subject: Subject, experts: Sequence[str]) -> str:
    if experts:
        return f"The expert parameters are {listed(experts)}."
    return (
        f"{subject.model.model.cls} has no stacked expert parameters; name linear layers in "
        f"{subject.recipe.key('target_modules')}."
    )


RULE = Rule(
    code="LT016",
    name="parameter-matches-nothing",
    severity=Severity.WARNING,
    summary="An entry of `target_parameters` matches no parameter.",
    why=(
        "PEFT raises only if nothing at all is adapted. Expert parameters are called "
        "`mlp.experts.gate_up_proj` in one family, `feed_forward.experts.gate_up_proj` in the "
        "next; an entry that names none is skipped without a word, and the experts stay frozen."
    ),
    instead="Take the parameter's name, or its end, as `lorascope inspect` lists it.",
    bad=Example(
        "Llama-4-Scout",
        {
            "target_modules": r".*language_model.*\.(q|k|v|o)_proj",
            "target_parameters": ["mlp.experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    good=Example(
        "Llama-4-Scout",
        {
            "target_modules": r".*language_model.*\.(q|k|v|o)_proj",
            "target_parameters": ["feed_forward.experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    reports=("unslothai/unsloth#6936", "unslothai/unsloth#11014"),
    needs=Needs.MATCH,
    find=find,
)
