"""LT010: parts of a fused projection are asked for by the names they have elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.checking.missed import Why, missed_targets
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import percent
from lorascope.core.recipe import Edit
from lorascope.core.roles import Role
from lorascope.matching import Where
from lorascope.matching.usual_names import ROLES_OF_NAME

_PARTS: Mapping[Role, frozenset[Role]] = {
    Role.ATTENTION_QKV: frozenset({Role.ATTENTION_Q, Role.ATTENTION_K, Role.ATTENTION_V}),
    Role.ATTENTION_QKVO: frozenset(
        {Role.ATTENTION_Q, Role.ATTENTION_K, Role.ATTENTION_V, Role.ATTENTION_O}
    ),
    Role.ATTENTION_QK: frozenset({Role.ATTENTION_Q, Role.ATTENTION_K}),
    Role.ATTENTION_KV: frozenset({Role.ATTENTION_K, Role.ATTENTION_V}),
    Role.FFN_GATE_UP: frozenset({Role.FFN_GATE, Role.FFN_UP}),
}
_WORDS: Mapping[Role, str] = {
    Role.ATTENTION_Q: "queries",
    Role.ATTENTION_K: "keys",
    Role.ATTENTION_V: "values",
    Role.ATTENTION_O: "the output",
    Role.FFN_GATE: "gate",
    Role.FFN_UP: "up",
}


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name a part of what is one projection in this model."""
    asked: dict[tuple[str, ...], list[str]] = {}
    for missed in missed_targets(subject):
        if missed.why is Why.FUSED:
            asked.setdefault(missed.instead, []).append(missed.entry.entry)
    for fused, entries in asked.items():
        yield _problem(subject, fused, entries)


def _problem(subject: Subject, fused: tuple[str, ...], entries: Sequence[str]) -> Problem:
    modules = [module for module in subject.model.adaptable if module.name in fused]
    parts = _PARTS.get(modules[0].role, frozenset())
    words = [word for role, word in _WORDS.items() if role in parts]
    is_adapted = any(module.path in subject.adapted_paths for module in modules)
    does = "does" if len(entries) == 1 else "do"
    together = f"This model makes {_enumerated(words)} in one projection, {shown(fused)}"
    return Problem(
        entry=entries[0],
        message=(
            f"{together}; {listed(entries)} {does} not exist in it."
            + ("" if is_adapted else f" {_frozen(subject, modules)}")
        ),
        hint=f"{shown(fused)} is adapted already; remove {listed(entries)}."
        if is_adapted
        else f"Write {shown(fused)} instead; it can only be adapted as a whole.",
        where=Where.TARGET_MODULES,
        paths=tuple(module.path for module in modules),
        edits=_edits(subject, fused, entries, modules),
        severity=Severity.INFO if is_adapted else None,
    )


def _frozen(subject: Subject, modules: Sequence[Module]) -> str:
    """Say that none is adapted; and what that leaves out, if other entries are trained alone."""
    none = f"None of its {len(modules)} is adapted"
    if not subject.targets:
        return f"{none}."
    held, total = sum(module.params for module in modules), subject.model.model.total_params
    return (
        f"{none}, and PEFT says nothing because other entries match: {percent(held, total)} of the "
        "weights stay frozen."
    )


def _enumerated(words: Sequence[str]) -> str:
    *first, last = words or ("this",)
    return f"{', '.join(first)} and {last}" if first else last


def _edits(
    subject: Subject, fused: tuple[str, ...], entries: Sequence[str], modules: Sequence[Module]
) -> tuple[Edit, ...]:
    """Return the change of all entries together if they ask for the whole fused projection."""
    asked = {role for entry in entries for role in ROLES_OF_NAME.get(entry, ())[:1]}
    wanted = _PARTS.get(modules[0].role)
    if len(fused) != 1 or wanted is None or not wanted <= asked:
        return ()
    first = () if fused[0] in subject.list_targets else fused
    return (
        Edit(Where.TARGET_MODULES, entries[0], first),
        *(Edit(Where.TARGET_MODULES, entry, ()) for entry in entries[1:]),
    )


RULE = Rule(
    code="LT010",
    name="fused-projection",
    severity=Severity.ERROR,
    summary="A target names a part of a projection that is fused in this model.",
    why=(
        "Phi-3 has `qkv_proj` where Llama has `q_proj`, `k_proj` and `v_proj`. If every entry is "
        "such a name, PEFT finds no target and refuses; if another entry matches, the training "
        "runs with that alone, and the projections that were asked for stay frozen."
    ),
    instead="Name the fused projection.",
    bad=Example("Phi-3-mini", {"target_modules": ["q_proj", "k_proj", "v_proj"]}),
    good=Example("Phi-3-mini", {"target_modules": ["qkv_proj"]}),
    reports=("vllm-project/vllm#4715", "hiyouga/LLaMA-Factory#4020"),
    needs=Needs.MATCH,
    find=find,
)
