"""LT003: an entry matches, and where the model names the same thing otherwise nothing does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.roles import Role, Tower
from lorascope.matching import Where

_GROUPS = frozenset({"attention", "linear_attention", "ffn", "ssm"})
_Key = tuple[Tower, Role, bool]
"""Tower, role, and whether it is in cross-attention."""


@dataclass(slots=True)
class _Place:
    """Where the modules of one role are."""

    adapted: set[int] = field(default_factory=set)
    """Layers in which one of them is adapted."""
    adapted_names: set[str] = field(default_factory=set)
    entry: str = ""
    """The first entry that reached one."""
    names: dict[int, list[Module]] = field(default_factory=dict)
    """Layer → its modules of this role."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find roles that are adapted in some layers only."""
    if subject.asked.layers_to_transform is not None:
        return
    for (_, role, _), place in _places(subject).items():
        missed = [
            module
            for layer, modules in place.names.items()
            if layer not in place.adapted
            for module in modules
            if module.name not in place.adapted_names
        ]
        if not place.adapted or not missed:
            continue
        layers = {module.layer for module in missed}
        yield Problem(
            entry=place.entry,
            message=(
                f"It reaches {role.value} in {len(place.adapted)} of {len(place.names)} layers; in "
                f"{len(layers)} others the same is called "
                f"{shown(dict.fromkeys(module.name for module in missed))} and stays frozen."
            ),
            hint=f"Add {shown(dict.fromkeys(module.name for module in missed))}.",
            where=Where.TARGET_MODULES,
            paths=tuple(module.path for module in missed),
        )


def _places(subject: Subject) -> Mapping[_Key, _Place]:
    places: dict[_Key, _Place] = {}
    for module in subject.model.adaptable:
        if _is_of_interest(subject, module) and module.layer is not None:
            place = places.setdefault(_key(module), _Place())
            place.names.setdefault(module.layer, []).append(module)
    for target, module in subject.adapted:
        found = places.get(_key(module))
        if found is not None and module.layer is not None:
            found.adapted.add(module.layer)
            found.adapted_names.add(module.name)
            found.entry = found.entry or target.entry
    return places


def _key(module: Module) -> _Key:
    return module.tower, module.role, module.cross_attention


def _is_of_interest(subject: Subject, module: Module) -> bool:
    return (
        module.tower in subject.model.model.main_towers
        and module.role.group in _GROUPS
        and not module.role.value.endswith(".other")
    )


RULE = Rule(
    code="LT003",
    name="other-name-in-other-layers",
    severity=Severity.WARNING,
    summary="An entry matches in a part of the model; elsewhere the same has another name.",
    why=(
        "A model of several parts may name the same projection otherwise in each: where SAM's mask "
        "decoder has `out_proj`, its image encoder has `proj`. An entry then reaches one part and "
        "leaves the other frozen. Something is trained, so nothing is reported."
    ),
    instead="Name it as each part of this model does.",
    bad=Example("sam", {"target_modules": ["qkv", "out_proj"]}),
    good=Example("sam", {"target_modules": ["qkv", "proj", "out_proj"]}),
    reports=("huggingface/peft#3658",),
    needs=Needs.MATCH,
    find=find,
)
