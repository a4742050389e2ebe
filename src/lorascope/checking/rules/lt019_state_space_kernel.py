"""LT019: a state-space projection or convolution is adapted that a fused kernel reads directly."""

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
from lorascope.core.observation import Call
from lorascope.core.roles import Role

_REFUSAL = "incompatible with Mamba-based models"
"""PEFT's words (0.21.2, `_check_lora_target_modules_mamba`)."""
_GROUPS = ("ssm", "linear_attention")


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that reach modules whose weight a kernel reads past their forward."""
    if not uses_peft(subject):
        return
    refused = _REFUSAL in (subject.refused or "")
    for reach in merged(reaches(subject)):
        hit = tuple(m for m in reach.modules if is_read_by_kernel(m))
        if hit:
            yield _problem(subject, reach, hit, refused=refused)


def is_read_by_kernel(module: Module) -> bool:
    """Whether some way of training reads the module's weight past its forward.

    A forward pass that shows that every way calls it is believed before its name.
    """
    if module.role.group not in _GROUPS:
        return False
    call = None if module.observed is None else module.observed.call
    if call is Call.CALLED:
        return False
    if "state_space_kernel" in module.hazards or "forward_bypassed_by_kernel" in module.hazards:
        return True
    return _is_convolution(module) and "forward_never_called" in module.hazards


def _is_convolution(module: Module) -> bool:
    return module.role in (Role.SSM_CONV, Role.LINEAR_ATTENTION_CONV)


def _problem(subject: Subject, reach: Reach, hit: Sequence[Module], *, refused: bool) -> Problem:
    names = listed(last_names(hit))
    what = f"It reaches {counted(len(hit), 'module')} ({names}) whose weight a fused kernel reads"
    dead = all(m.observed is not None and m.observed.call is Call.READ_DIRECTLY for m in hit)
    if refused:
        then = f"PEFT refuses {subject.model.model.model_type} with them."
    else:
        where = "" if dead else "where the kernel is installed "
        silent = "" if subject.refused else ", and PEFT does not refuse"
        then = f"{where}LoRA there learns nothing{silent}."
    return Problem(
        entry=reach.entry,
        message=f"{what} without calling them: {then}",
        severity=_severity(reach, hit, refused=refused),
        hint=how_to_leave_out(subject, reach, hit),
        where=reach.where,
        paths=tuple(module.path for module in hit),
        edits=removal(reach, hit),
    )


def _severity(reach: Reach, hit: Sequence[Module], *, refused: bool) -> Severity:
    """An error where it fails, or where all that the entry reaches is known for it."""
    known = all("state_space_kernel" in m.hazards or _is_convolution(m) for m in hit)
    if refused or (known and len(hit) == len(reach.modules)):
        return Severity.ERROR
    return Severity.WARNING


RULE = Rule(
    code="LT019",
    name="state-space-kernel",
    severity=Severity.ERROR,
    summary="A state-space module is adapted whose weight a fused kernel reads directly.",
    why=(
        "Mamba's kernels take the weights of `conv1d`, `x_proj` or `out_proj` as arguments and "
        "never call the modules, so an adapter there gets no gradient. PEFT refuses `out_proj` "
        "and `conv1d` on falcon_h1, falcon_mamba, mamba, mamba2 and nemotron_h, and adapts them "
        "without a word on bamba, zamba2 and granitemoehybrid."
    ),
    instead="Adapt `in_proj`, and the attention and feed-forward of a hybrid model.",
    bad=Example("Mamba-2.8B", {"target_modules": ["in_proj", "out_proj"]}),
    good=Example("Mamba-2.8B", {"target_modules": ["in_proj"]}),
    reports=("huggingface/peft#2556", "https://github.com/huggingface/peft/pull/2562"),
    needs=Needs.MATCH,
    find=find,
)
