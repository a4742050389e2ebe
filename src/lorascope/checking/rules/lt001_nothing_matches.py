"""LT001: the targets match nothing at all."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.missed import Why, missed_targets
from lorascope.checking.missed_pattern import WhyPattern, missed_pattern
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.matching import Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find targets of which no entry hits anything, where no other rule says why."""
    entries = [*subject.entries_of(Where.TARGET_MODULES)]
    entries += subject.entries_of(Where.TARGET_PARAMETERS)
    if not entries or any(entry.matched for entry in entries):
        return
    missed = missed_targets(subject)
    if len(missed) < len(subject.list_targets) or any(e.why is not Why.UNKNOWN for e in missed):
        return
    pattern = missed_pattern(subject)
    if pattern is not None and pattern.why is not WhyPattern.UNKNOWN:
        return
    near = list(dict.fromkeys(name for entry in entries for name in entry.nearest))
    asked = shown(entry.entry for entry in entries)
    yield Problem(
        entry=entries[0].entry,
        message=f"{asked} matches no module of {subject.model.model.cls}; PEFT refuses to train.",
        hint=f"The nearest real names are {listed(near)}."
        if near
        else f"See what there is: lorascope inspect {subject.model.model.reference} --names",
        where=entries[0].where,
    )


RULE = Rule(
    code="LT001",
    name="nothing-matches",
    severity=Severity.ERROR,
    summary="The targets match no module of the base model.",
    why=(
        "PEFT raises `Target modules {…} not found in the base model` when the adapter is put on "
        "the model, which is after the weights were loaded. The names come from another "
        "architecture: GPT-2 has `c_attn` where Llama has `q_proj`."
    ),
    instead="Take the names of this model, as `lorascope inspect` lists them, or a preset.",
    bad=Example("Falcon-7B", {"target_modules": ["attn_qkv", "attn_out"]}),
    good=Example("Falcon-7B", {"target_modules": ["query_key_value"]}),
    reports=("hiyouga/LLaMA-Factory#3597", "huggingface/peft#2128"),
    needs=Needs.MATCH,
    find=find,
)
