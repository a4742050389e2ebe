"""LT020: a module is adapted whose forward is never called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.checking.leaving_out import how_to_leave_out, removal
from lorascope.checking.naming import last_names, quoted
from lorascope.checking.reaching import Reach, merged, reaches, uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.rules.lt019_state_space_kernel import is_read_by_kernel
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module, is_observed
from lorascope.core.numbers import counted
from lorascope.core.roles import Kind
from lorascope.matching import Where

_HAZARD = "forward_never_called"
_FEW = 10
"""One in so many is worth knowing, and no more."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that reach modules which the model never calls."""
    if not uses_peft(subject):
        return
    params_of = {target.path: target.params for target in subject.targets}
    for reach in merged(reaches(subject)):
        if reach.where is not Where.TARGET_MODULES:
            continue
        dead = tuple(m for m in reach.modules if _is_dead(m))
        if dead:
            yield _problem(subject, reach, dead, params_of)


def _is_dead(module: Module) -> bool:
    """Whether LoRA learns nothing there. What a kernel reads is the matter of LT019."""
    stacked = module.kind is Kind.EXPERT_PARAMETER
    return _HAZARD in module.hazards and not stacked and not is_read_by_kernel(module)


def _problem(
    subject: Subject, reach: Reach, dead: Sequence[Module], params_of: Mapping[str, int]
) -> Problem:
    only = len(dead) == len(reach.modules)
    seen = " A forward pass showed it." if all(is_observed(_HAZARD, m) for m in dead) else ""
    params = sum(params_of.get(module.path, 0) for module in dead)
    there = f"{params:,} LoRA parameters there learn" if params else "LoRA there learns"
    of = "" if only else f" of its {len(reach.modules):,}"
    run, weights, them = (
        ("runs", "its weight", "it") if len(dead) == 1 else ("run", "their weights", "them")
    )
    return Problem(
        entry=reach.entry,
        message=(
            f"{counted(len(dead), 'module')}{of} ({listed(last_names(dead))}) never {run}: the "
            f"model reads {weights} and does not call {them}, so {there} nothing.{seen}"
        ),
        hint=_hint(subject, reach, dead),
        where=reach.where,
        paths=tuple(module.path for module in dead),
        edits=removal(reach, dead),
        severity=_severity(reach, dead),
    )


def _severity(reach: Reach, dead: Sequence[Module]) -> Severity:
    if len(dead) == len(reach.modules):
        return Severity.ERROR
    return Severity.INFO if _FEW * len(dead) < len(reach.modules) else Severity.WARNING


def _hint(subject: Subject, reach: Reach, dead: Sequence[Module]) -> str:
    holders = {module.path.rpartition(".")[0] for module in dead}
    rows = [subject.modules[path] for path in holders if path in subject.modules]
    whole = [row for row in rows if row.kind is Kind.MULTIHEAD_ATTENTION]
    if whole and len(whole) == len(rows):
        names = quoted(sorted(dict.fromkeys(row.name for row in whole)))
        return f"Name the nn.MultiheadAttention itself, which PEFT adapts as a whole: {names}."
    return how_to_leave_out(subject, reach, dead)


RULE = Rule(
    code="LT020",
    name="forward-never-called",
    severity=Severity.ERROR,
    summary="A module is adapted whose `forward` the model never calls.",
    why=(
        "PEFT adds its low-rank product in the module's forward. Mamba's and Jamba's `dt_proj` and "
        "the `out_proj` inside an `nn.MultiheadAttention` are never called, only their weights are "
        "read. LoRA there is counted and saved, and stays at zero."
    ),
    instead=(
        "Leave the module out; instead of `out_proj` name the `nn.MultiheadAttention` that holds "
        "it."
    ),
    bad=Example("Jamba", {"target_modules": ["q_proj", "v_proj", "in_proj", "dt_proj"]}),
    good=Example("Jamba", {"target_modules": ["q_proj", "v_proj", "in_proj"]}),
    reports=(
        "huggingface/peft#761",
        "huggingface/peft#2274",
        "helicalAI/helical#405",
    ),
    needs=Needs.MATCH,
    find=find,
)
