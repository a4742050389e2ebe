"""LT012: `target_parameters` together with dropout."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.naming import quoted
from lorascope.checking.reaching import asked_otherwise, uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import shown
from lorascope.core.errors import SpecificationError
from lorascope.core.finding import Severity
from lorascope.core.numbers import counted, plain
from lorascope.core.recipe import Edit
from lorascope.matching import Match, Reason, Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find a dropout beside parameters that PEFT would wrap, and refuses because of it."""
    if not subject.spec.lora_dropout or not uses_peft(subject) or subject.match is None:
        return
    if subject.refused is None or not subject.match.effective.target_parameters:
        return
    try:
        without = asked_otherwise(subject, lora_dropout=0.0)
    except SpecificationError:
        return
    paths = _wrapped(without.match)
    if not paths:
        return
    key, dropout = subject.recipe.key("lora_dropout"), plain(subject.spec.lora_dropout)
    default = "" if "lora_dropout" in subject.recipe.stated else " by the tool's default"
    yield Problem(
        entry=dropout,
        message=(
            f"{_who(without.match)} {counted(len(paths), 'parameter')}, and PEFT's ParamWrapper "
            f"refuses dropout: lora_dropout is {dropout}{default}, so it raises before training."
        ),
        hint=f"Set {key} to 0; it then is 0 for the linear layers as well.",
        where="lora_dropout",
        paths=paths,
        edits=(Edit("lora_dropout", None, 0.0),),
    )


def _wrapped(match: Match | None) -> tuple[str, ...]:
    """Return the parameters reached, also where something else is refused."""
    if match is None:
        return ()
    if match.refused is None:
        return tuple(target.path for target in match.targets if target.is_parameter)
    return tuple(path for e in match.entries_of(Where.TARGET_PARAMETERS) for path in e.paths)


def _who(match: Match | None) -> str:
    paths = [t.path for t in match.targets if t.reason is Reason.REWRITE] if match else []
    if match is None or not paths:
        return "target_parameters reaches"
    known = frozenset(paths)
    asked = match.entries_of(Where.TARGET_MODULES)
    entries = [each.entry for each in asked if not known.isdisjoint(each.paths)]
    ends = dict.fromkeys(".".join(path.split(".")[-2:]) for path in paths)
    return f"PEFT rewrites {shown(entries)} to target_parameters {quoted(ends)}, which reaches"


RULE = Rule(
    code="LT012",
    name="dropout-on-parameters",
    severity=Severity.ERROR,
    summary="`lora_dropout` is above 0 while expert parameters are adapted.",
    why=(
        "What `target_parameters` names is wrapped by PEFT's `ParamWrapper`, which cannot drop out "
        "anything and raises `lora.ParamWrapper does not work with lora_dropout != 0`. On some "
        "mixture-of-experts models PEFT makes target parameters by itself, out of `gate_proj`, "
        "`up_proj`, `down_proj` or `all-linear`."
    ),
    instead="Set `lora_dropout` to 0, or leave the expert parameters out.",
    bad=Example(
        "Qwen3-30B-A3B",
        {
            "target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"],
            "lora_dropout": 0.05,
        },
    ),
    good=Example(
        "Qwen3-30B-A3B",
        {
            "target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"],
            "lora_dropout": 0.0,
        },
    ),
    reports=("AgileRL/AgileRL#630",),
    needs=Needs.MATCH,
    find=find,
)
