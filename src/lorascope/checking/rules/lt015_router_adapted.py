"""LT015: a router of experts is adapted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.leaving_out import can_say, how_to_leave_out, is_removable, removal
from lorascope.checking.naming import last_names, quoted
from lorascope.checking.reaching import Reach, merged, reaches
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import counted
from lorascope.core.recipe import Tool
from lorascope.core.roles import EXPERTS, Kind, Role
from lorascope.matching.expert_rewrite import NEW_NAMES

_ASKS_FOR_ROUTERS = "all-router"
"""ms-swift's own word for them (4.6.0)."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries by which the layers that choose experts get LoRA.

    The gate that weighs a shared expert chooses nothing and is not meant.
    """
    if subject.recipe.tool is Tool.MS_SWIFT and _ASKS_FOR_ROUTERS in subject.list_targets:
        return
    if not any(m.role in EXPERTS for m in subject.model.adaptable):
        return
    for reach in merged(reaches(subject)) if subject.targets else ():
        routers = tuple(m for m in reach.modules if m.role is Role.MOE_ROUTER)
        if routers:
            yield _problem(subject, reach, routers)


def _problem(subject: Subject, reach: Reach, routers: tuple[Module, ...]) -> Problem:
    return Problem(
        entry=reach.entry,
        message=(
            f"It adapts {counted(len(routers), 'router')} ({listed(last_names(routers))}), which "
            "choose the experts of each token. Training them disturbs the balance between experts."
        ),
        hint=_hint(subject, reach, routers),
        where=reach.where,
        paths=tuple(module.path for module in routers),
        edits=removal(reach, routers),
    )


def _hint(subject: Subject, reach: Reach, routers: Sequence[Module]) -> str:
    through_parameters = frozenset(t.path for t in subject.targets if t.is_parameter)
    rewritten = any(f"{module.path}.weight" in through_parameters for module in routers)
    if not rewritten or is_removable(reach, routers):
        return how_to_leave_out(subject, reach, routers)
    others = [row for _, row in subject.adapted if row.role is not Role.MOE_ROUTER]
    names = dict.fromkeys(name for row in others for name in _as_listed(subject, row))
    if not can_say(subject, "exclude_modules"):
        return f"List the targets without it: {quoted(names)}."
    return f"exclude_modules does not reach it; list the targets instead: {quoted(names)}."


def _as_listed(subject: Subject, row: Module) -> tuple[str, ...]:
    """Return what a list of targets calls a module: experts by the names that PEFT rewrites."""
    if row.kind is not Kind.EXPERT_PARAMETER:
        return (row.name,)
    known = NEW_NAMES.get(subject.model.model.expert_rewrite or "", {})
    return tuple(old for old, new in known.items() if new == row.name) or (row.name,)


RULE = Rule(
    code="LT015",
    name="router-adapted",
    severity=Severity.WARNING,
    summary="A router of a mixture of experts is adapted.",
    why=(
        "A router decides which experts a token goes to. `all-linear` takes it in where it is a "
        "linear layer, and PEFT rewrites `gate` to its weight elsewhere. Training it on narrow "
        "data disturbs the balance between experts that pretraining made."
    ),
    instead="Leave it out of the list, or exclude it by name.",
    bad=Example("Mixtral-8x7B", {"target_modules": ["q_proj", "v_proj", "gate"]}),
    good=Example("Mixtral-8x7B", {"target_modules": ["q_proj", "v_proj"]}),
    reports=("AgileRL/AgileRL#630",),
    needs=Needs.MATCH,
    find=find,
)
