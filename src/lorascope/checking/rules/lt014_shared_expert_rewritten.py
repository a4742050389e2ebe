"""LT014: a dense or shared expert's linear is named, and PEFT adapts routed experts instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.checking.expert_names import misrouted
from lorascope.checking.leaving_out import can_say
from lorascope.checking.naming import endings, last_names, quoted
from lorascope.checking.reaching import uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import counted
from lorascope.core.roles import Kind
from lorascope.matching import Where

_FIELD = "target_parameters"


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name linears outside the routed experts, which PEFT passes over."""
    if not uses_peft(subject):
        return
    found = misrouted(subject)
    scoped = {entry: each.modules for entry, each in found.items() if each.only}
    if scoped:
        yield _diverted(subject, scoped)
    bare = {entry: each.modules for entry, each in found.items() if not each.only}
    if bare:
        yield _left_out(subject, bare)


def _diverted(subject: Subject, scoped: Mapping[str, Sequence[Module]]) -> Problem:
    """Tell of entries that mean these linears and no others, all of them at once."""
    modules = list({m.path: m for each in scoped.values() for m in each}.values())
    named = counted(len(modules), "dense or shared-expert linear")
    verb = "names" if len(scoped) == 1 else "name"
    return Problem(
        entry=next(iter(scoped)),
        message=(
            f"{shown(scoped)} {verb} {named}, but PEFT takes the last part for the old name of "
            f"routed experts: {_instead(subject)}, and what was named stays frozen."
        ),
        hint=_hint(subject, modules),
        where=Where.TARGET_MODULES,
        paths=tuple(module.path for module in modules),
    )


def _left_out(subject: Subject, bare: Mapping[str, Sequence[Module]]) -> Problem:
    """Tell of entries that mean the routed experts as well, all of them at once."""
    modules = list({m.path: m for each in bare.values() for m in each}.values())
    named = counted(len(modules), "dense or shared-expert linear")
    return Problem(
        entry=next(iter(bare)),
        message=(
            f"On this model PEFT reads {listed(last_names(modules))} as routed experts alone, and "
            f"leaves out {named} of these names without a word."
        ),
        hint=_hint(subject, modules),
        where=Where.TARGET_MODULES,
        paths=tuple(module.path for module in modules),
        severity=Severity.WARNING,
    )


def _hint(subject: Subject, modules: Sequence[Module]) -> str:
    ends = tuple(f"{end}.weight" for end in endings(modules, _others(subject, modules)))
    names = quoted(ends) if ends else "their full names, each with `.weight`"
    if not can_say(subject, _FIELD):
        tool = subject.recipe.tool.value
        return f"{tool} has no key for their weights; in PEFT they are {names} in {_FIELD}."
    key, dropout = subject.recipe.key(_FIELD), subject.recipe.key("lora_dropout")
    return f"Name their weights in {key}: {names}, with {dropout} 0; the LoRA is the same."


def _others(subject: Subject, modules: Sequence[Module]) -> Iterator[Module]:
    named = {module.path for module in modules}
    return (module for module in subject.model.adaptable if module.path not in named)


def _instead(subject: Subject) -> str:
    if subject.refused is not None:
        return "here it refuses even that"
    experts = [t for t, row in subject.adapted if row.kind is Kind.EXPERT_PARAMETER]
    if not experts:
        return "nothing of that name is adapted"
    share = sum(target.params for target in experts)
    return f"{counted(len(experts), 'expert parameter')} get {share:,} LoRA parameters"


RULE = Rule(
    code="LT014",
    name="shared-expert-rewritten",
    severity=Severity.ERROR,
    summary="A dense or shared-expert target becomes a routed-expert one.",
    why=(
        "For transformers 5 PEFT rewrites every target that ends in `gate_proj`, `up_proj` or "
        "`down_proj` (or `w1`, `w2`, `w3`) to the stacked parameters of the routed experts, "
        "whatever stands before it. `shared_experts.down_proj` so trains all routed experts, "
        "which are many times larger, and leaves the shared ones frozen."
    ),
    instead="Name the weight itself in `target_parameters`: `shared_experts.down_proj.weight`.",
    bad=Example("DeepSeek-V3", {"target_modules": ["q_a_proj", "shared_experts.down_proj"]}),
    good=Example(
        "DeepSeek-V3",
        {
            "target_modules": ["q_a_proj"],
            "target_parameters": ["shared_experts.down_proj.weight"],
        },
    ),
    reports=("huggingface/peft#3711",),
    needs=Needs.MATCH,
    find=find,
)
