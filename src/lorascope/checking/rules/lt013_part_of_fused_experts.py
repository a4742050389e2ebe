"""LT013: a part of what the experts hold fused is named without the other part."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorascope.checking.expert_names import misrouted, old_names
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.matching import Where

_PEFTS_WORDS = re.compile(
    r"Cannot convert PEFT target\(s\) (?P<given>.+?) without also targeting (?P<lacking>.+?) "
    r"because they are fused into (?P<fused>[\w.]+)"
)


def find(subject: Subject) -> Iterator[Problem]:
    """Find what PEFT refuses to convert, unless it is a shared expert's, which LT014 tells."""
    words = _PEFTS_WORDS.search(subject.refused or "")
    if words is None:
        return
    given, lacking, fused = words["given"], words["lacking"], words["fused"]
    entries = [entry for entry, old in old_names(subject).items() if old in given.split(", ")]
    meant = misrouted(subject)
    if entries and all(entry in meant for entry in entries):
        return
    asked = subject.asked.target_modules
    entry = entries[0] if entries else asked if isinstance(asked, str) else given
    yield Problem(
        entry=entry,
        message=(
            f"The routed experts hold {given} and {lacking} as one parameter, {fused}, and PEFT "
            f"refuses {given} without {lacking}."
        ),
        hint=f"Add {lacking}, or leave out {listed(entries) or given}.",
        where=Where.TARGET_MODULES,
    )


RULE = Rule(
    code="LT013",
    name="part-of-fused-experts",
    severity=Severity.ERROR,
    summary="`gate_proj` is named without `up_proj` (or `w1` without `w3`) on fused experts.",
    why=(
        "PEFT converts the old names of routed experts to the parameters of transformers 5, where "
        "gate and up are one. Half of it cannot be adapted, so PEFT raises `Cannot convert PEFT "
        "target(s) gate_proj without also targeting up_proj`."
    ),
    instead="Name both, or neither.",
    bad=Example("Qwen3-30B-A3B", {"target_modules": ["q_proj", "v_proj", "gate_proj"]}),
    good=Example("Qwen3-30B-A3B", {"target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj"]}),
    reports=("huggingface/peft#3232",),
    needs=Needs.MATCH,
    find=find,
)
