"""LT037: PEFT refuses the configuration for a reason that no other rule tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields

from lorascope.checking.reaching import uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_written
from lorascope.core.finding import Severity
from lorascope.core.spec import LoraSpec

_FIELDS = tuple(field.name for field in fields(LoraSpec) if field.name != "unmodelled")
_SENTENCE = re.compile(r"(?<=[.?!]) (?=[A-Z])")


def find(subject: Subject) -> Iterator[Problem]:
    """Tell PEFT's own reason. It is dropped if another rule finds an error."""
    if subject.refused is None:
        return
    where = _field(subject.refused, subject)
    option = "" if where else _option(subject.refused, subject)
    by_peft = uses_peft(subject) and not subject.refused_by_tool
    who = "PEFT" if by_peft else subject.recipe.tool.own_name
    reason = subject.refused.removeprefix(f"{subject.recipe.origin}: ")
    first, *rest = _SENTENCE.split(reason)
    yield Problem(
        entry=as_written(subject.recipe.stated[where]) if where else option,
        message=f"{who} refuses this: {first}",
        hint=" ".join(rest) or "Change it; the adapter cannot be put on this model.",
        where=where,
    )


def _field(reason: str, subject: Subject) -> str:
    """Return the first field that the reason names and the user states; empty if none is."""
    named = [(reason.find(name), name) for name in _FIELDS if len(name) > 1 and name in reason]
    stated = [name for _, name in sorted(named) if name in subject.recipe.stated]
    return stated[0] if stated else ""


def _option(reason: str, subject: Subject) -> str:
    """Return the tool's own setting that the reason names first; empty if it names none."""
    named = [(reason.find(name), name) for name in subject.recipe.options if name in reason]
    return min(named, default=(0, ""))[1]


RULE = Rule(
    code="LT037",
    name="refused-by-peft",
    severity=Severity.ERROR,
    summary="PEFT refuses the configuration on this model, for a reason no other rule tells.",
    why=(
        "PEFT checks a configuration when the adapter is put on the model: after the weights were "
        "loaded. What it then refuses is told here in its own sense, for example a rank that the "
        "groups of a convolution do not divide, or one target inside another."
    ),
    instead="Change what the reason names.",
    bad=Example(
        "Llama-3.1-8B",
        {"target_modules": ["q_proj", "v_proj"], "use_dora": True, "lora_bias": True},
    ),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"], "use_dora": True}),
    reports=("huggingface/peft#2549",),
    needs=Needs.MATCH,
    find=find,
    last_resort=True,
)
