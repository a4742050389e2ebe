"""LT008: a target is a container, not a layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lorascope.checking.named import by_entry, holders, is_container, named_targets
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.roles import ROUTERS, Kind
from lorascope.matching import Where
from lorascope.matching.names import ancestors


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that name blocks of several modules."""
    holding = holders(subject)
    named = {
        path: entry
        for path, entry in named_targets(subject).items()
        if is_container(subject.modules[path], holding)
    }
    if not named:
        return
    inside = _inside(subject, named)
    for entry, paths in by_entry(named).items():
        classes = dict.fromkeys(subject.modules[path].cls for path in paths)
        yield Problem(
            entry=entry,
            message=(
                f"It names {len(paths)} {_plural('container', len(paths))} of other modules "
                f"({listed(classes)}); PEFT puts LoRA on single layers only and refuses it."
            ),
            hint=_hint(subject, paths, inside),
            where=Where.TARGET_MODULES,
            paths=tuple(paths),
        )


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _inside(subject: Subject, named: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Return the names of what LoRA can adapt in each container, each name once."""
    found: dict[str, dict[str, None]] = {path: {} for path in named}
    for module in subject.model.adaptable:
        if module.role in ROUTERS:
            continue
        for above in ancestors(module.path):
            if above in found:
                found[above][_name(module.path, module.kind)] = None
    return {path: list(names) for path, names in found.items()}


def _name(path: str, kind: Kind) -> str:
    parts = 2 if kind is Kind.EXPERT_PARAMETER else 1
    return ".".join(path.rsplit(".", parts)[-parts:])


def _hint(subject: Subject, paths: Iterable[str], inside: Mapping[str, list[str]]) -> str:
    names = dict.fromkeys(name for path in paths for name in inside[path])
    modules = [name for name in names if "." not in name]
    stacked = [name for name in names if "." in name]
    if not names:
        return "Remove it: nothing in it can take LoRA."
    if not modules:
        return f"Its weights are stacked experts: put {shown(stacked)} into target_parameters."
    if subject.pattern is not None:
        return f"Let the pattern end with the layers in it: {listed(modules)}."
    said = f"Name the layers in it: {shown(modules)}."
    return f"{said} For experts, target_parameters: {shown(stacked)}." if stacked else said


RULE = Rule(
    code="LT008",
    name="container-as-target",
    severity=Severity.ERROR,
    summary="A target names a block of several modules, such as `self_attn`.",
    why=(
        "PEFT replaces single layers: linear ones, embeddings, convolutions. For a block it raises "
        "`Target module LlamaAttention(…) is not supported`, after the weights were loaded. It "
        "does not go into the block to adapt what is there."
    ),
    instead="Name the layers in the block.",
    bad=Example("Llama-3.1-8B", {"target_modules": ["self_attn"]}),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}),
    reports=("microsoft/LoRA#192",),
    needs=Needs.MATCH,
    find=find,
)
