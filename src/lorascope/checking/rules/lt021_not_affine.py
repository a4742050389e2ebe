"""LT021: a subclass of a linear layer is adapted whose forward is no plain matrix product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.leaving_out import how_to_leave_out, removal
from lorascope.checking.naming import last_names
from lorascope.checking.reaching import Reach, merged, reaches, uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import counted
from lorascope.matching import Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that reach linear layers which compute something else than x·Wᵀ + b."""
    if not uses_peft(subject):
        return
    for reach in merged(reaches(subject)):
        if reach.where is not Where.TARGET_MODULES:
            continue
        other = tuple(m for m in reach.modules if "not_affine" in m.hazards)
        if other:
            yield _problem(subject, reach, other)


def _problem(subject: Subject, reach: Reach, other: Sequence[Module]) -> Problem:
    classes = listed(dict.fromkeys(module.cls for module in other))
    return Problem(
        entry=reach.entry,
        message=(
            f"It reaches {counted(len(other), 'module')} ({listed(last_names(other))}) of class "
            f"{classes}, whose output is not x·Wᵀ + b: what PEFT adds there is wrong, or its shape "
            "does not fit and the first step fails."
        ),
        hint=how_to_leave_out(subject, reach, other),
        where=reach.where,
        paths=tuple(module.path for module in other),
        edits=removal(reach, other),
    )


RULE = Rule(
    code="LT021",
    name="not-affine",
    severity=Severity.ERROR,
    summary="A linear subclass is adapted whose forward is not x·Wᵀ + b.",
    why=(
        "PEFT goes by the class: a subclass of `nn.Linear` gets a linear layer's LoRA. "
        "DeepSeek-V4's `o_a_proj` multiplies each group of heads with its own block of the weight, "
        "so that the low-rank sum beside it has the wrong shape."
    ),
    instead="Leave it out; `o_b_proj`, the second step, is a plain linear layer.",
    bad=Example("deepseek_v4", {"target_modules": ["q_a_proj", "q_b_proj", "o_a_proj"]}),
    good=Example("deepseek_v4", {"target_modules": ["q_a_proj", "q_b_proj", "o_b_proj"]}),
    reports=("whitecircle/halo#35",),
    needs=Needs.MATCH,
    find=find,
)
