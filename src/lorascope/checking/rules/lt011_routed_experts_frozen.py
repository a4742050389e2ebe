"""LT011: the feed-forward is asked for, and the routed experts stay frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lorascope.checking.leaving_out import can_say
from lorascope.checking.missed import Missed, Why, missed_targets
from lorascope.checking.naming import parameter_ending, quoted
from lorascope.checking.reaching import Reach, reaches, uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import percent, short
from lorascope.core.roles import EXPERTS, ROUTERS, Kind
from lorascope.matching import Where

_EVERYTHING = ("all-linear", "all")
_AXOLOTLS_FLAG = "lora_target_linear"
"""What asks for every linear in Axolotl."""
_FEED_FORWARD = re.compile(r"(?<![a-z])(gate|up|down|gate_up|mlp|feed_forward|experts)(?![a-z])")
"""Words by which a regular expression means a feed-forward."""
_SHARED = "shared"
"""In an entry that means shared experts and no others."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find targets that mean the feed-forward on a model whose experts they leave alone.

    A list of attention names is a choice, and says nothing of the feed-forward.
    """
    experts = [m for m in subject.model.adaptable if _is_stacked_expert(m)]
    if not experts or not uses_peft(subject):
        return
    found = reaches(subject)
    adapted = any(m.role in EXPERTS for reach in found for m in reach.modules)
    missed = [each for each in missed_targets(subject) if each.why is Why.EXPERT]
    if missed:
        yield _missed(subject, missed, experts, found, adapted=adapted)
    elif not adapted and subject.refused is None and _hold_most(experts, subject):
        entry = _asking(subject, found)
        if entry is not None:
            yield Problem(
                entry=entry,
                message=_frozen(experts, subject),
                hint=_hint(subject, experts),
                where=Where.TARGET_MODULES,
                paths=tuple(module.path for module in experts),
            )


def _is_stacked_expert(module: Module) -> bool:
    return module.kind is Kind.EXPERT_PARAMETER and module.role in EXPERTS


def _hold_most(experts: Sequence[Module], subject: Subject) -> bool:
    return 2 * sum(module.params for module in experts) > subject.model.model.total_params


def _asking(subject: Subject, found: Sequence[Reach]) -> str | None:
    """Return the entry that asks for the feed-forward; None if none does."""
    if subject.recipe.options.get(_AXOLOTLS_FLAG) is True:
        return _AXOLOTLS_FLAG
    asked = subject.asked.target_modules
    for word in (each.entry for each in subject.entries_of(Where.TARGET_MODULES)):
        if word.lower() in _EVERYTHING:
            return word
    if isinstance(asked, str) and _FEED_FORWARD.search(asked):
        return asked
    for reach in found:
        if reach.where is Where.TARGET_PARAMETERS or _SHARED in reach.entry:
            continue
        if any(_is_feed_forward(module, subject) for module in reach.modules):
            return reach.entry
    return None


def _is_feed_forward(module: Module, subject: Subject) -> bool:
    if module.tower not in subject.model.model.main_towers:
        return False
    return module.role.group in ("ffn", "moe") and module.role not in ROUTERS


def _missed(
    subject: Subject,
    missed: Sequence[Missed],
    experts: Sequence[Module],
    found: Sequence[Reach],
    *,
    adapted: bool,
) -> Problem:
    names = [each.entry.entry for each in missed]
    nothing = f"{shown(names)} {'matches' if len(names) == 1 else 'match'} no module here"
    if adapted:
        severity, hint = Severity.INFO, f"Remove {shown(names)}."
        message = f"{nothing}; the experts are adapted through target_parameters."
    else:
        severity = Severity.WARNING if found else Severity.ERROR
        message = f"{nothing}. {_frozen(experts, subject)}"
        hint = _hint(subject, experts)
    return Problem(
        entry=names[0],
        message=message,
        hint=hint,
        where=Where.TARGET_MODULES,
        paths=tuple(module.path for module in experts),
        severity=severity,
    )


def _frozen(experts: Sequence[Module], subject: Subject) -> str:
    held, total = sum(module.params for module in experts), subject.model.model.total_params
    return (
        f"{short(held)} of the {short(total)} parameters ({percent(held, total)}) are routed "
        "experts, stacked in 3-D parameters that target_modules does not reach; they stay frozen."
    )


def _hint(subject: Subject, experts: Sequence[Module]) -> str:
    names = quoted(dict.fromkeys(parameter_ending(module) for module in experts))
    if not can_say(subject, "target_parameters"):
        return (
            f"{subject.recipe.tool.value} has no key for them; in PEFT they are target_parameters: "
            f"{names}, with lora_dropout 0."
        )
    key = subject.recipe.key("target_parameters")
    return (
        f"To adapt them add {key}: {names}, which needs {subject.recipe.key('lora_dropout')} 0. To "
        "leave them frozen on purpose, target the attention alone."
    )


RULE = Rule(
    code="LT011",
    name="routed-experts-frozen",
    severity=Severity.WARNING,
    summary="The targets ask for the feed-forward, and the routed experts stay frozen.",
    why=(
        "transformers 5 keeps routed experts as 3-D parameters, not as linear layers. `all-linear` "
        "and names such as `gate_proj` then reach shared experts and dense layers at best; most "
        "of the model's weights are left out, and PEFT says nothing."
    ),
    instead=(
        "Name the expert parameters in `target_parameters`, with `lora_dropout` 0; or list the "
        "attention alone, where that is meant."
    ),
    bad=Example("gpt-oss-20b", {"target_modules": "all-linear"}),
    good=Example(
        "gpt-oss-20b",
        {
            "target_modules": "all-linear",
            "target_parameters": ["experts.gate_up_proj", "experts.down_proj"],
        },
    ),
    reports=("huggingface/peft#3009", "unslothai/unsloth#4193", "modelscope/ms-swift#6173"),
    needs=Needs.MATCH,
    find=find,
)
