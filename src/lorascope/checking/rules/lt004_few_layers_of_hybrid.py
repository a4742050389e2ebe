"""LT004: on a hybrid model the targets reach the mixers of few layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed, shown
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.roles import Kind, Role, Tower
from lorascope.matching import Where

_WORDS: Mapping[str, str] = {
    "attention": "attention",
    "linear_attention": "linear attention",
    "ssm": "a state-space block",
    "conv": "a short convolution",
}
"""Group of roles that mix the tokens of a sequence → what such a mixer is called."""
_TOWERS = frozenset({Tower.TEXT, Tower.ENCODER, Tower.DECODER})
_PROJECTIONS = frozenset(
    {
        Role.ATTENTION_Q,
        Role.ATTENTION_K,
        Role.ATTENTION_V,
        Role.ATTENTION_O,
        Role.ATTENTION_QKV,
        Role.SSM_IN,
        Role.SSM_X,
        Role.SSM_OUT,
        Role.SSM_GATE,
        Role.LINEAR_ATTENTION_Q,
        Role.LINEAR_ATTENTION_K,
        Role.LINEAR_ATTENTION_V,
        Role.LINEAR_ATTENTION_QKV,
        Role.LINEAR_ATTENTION_O,
        Role.LINEAR_ATTENTION_GATE,
        Role.CONV_IN,
        Role.CONV_OUT,
    }
)
"""Large projections of a mixer, worth naming as targets."""
_BAD = frozenset(
    {"forward_never_called", "forward_bypassed_by_kernel", "state_space_kernel", "not_affine"}
)


@dataclass(frozen=True, slots=True)
class _Layers:
    """The layers of one tower that mix tokens, by whether their kind of mixer is reached."""

    kinds: Mapping[int, frozenset[str]]
    """Layer → the groups of its mixers: several where they work side by side."""
    reached: frozenset[str]
    """Groups in which a module is adapted, in whichever layer."""

    @property
    def without(self) -> tuple[int, ...]:
        """Layers of which no mixer is of a kind that is reached anywhere."""
        return tuple(layer for layer, kinds in self.kinds.items() if not kinds & self.reached)

    @property
    def is_few(self) -> bool:
        """Whether the kinds reached are those of at most as many layers as the others."""
        return bool(self.reached) and 2 * len(self.without) >= len(self.kinds)


def find(subject: Subject) -> Iterator[Problem]:
    """Find targets that pass by the kind of mixer that most layers have."""
    for tower in subject.model.model.main_towers:
        if tower not in _TOWERS:
            continue
        layers = _layers(subject, tower)
        if layers.is_few:
            yield _problem(subject, tower, layers)


def _group(module: Module, tower: Tower) -> str | None:
    """Return the group of a mixer's module in a layer of the tower, None for any other module."""
    group = module.role.group
    is_one = (
        module.tower is tower
        and module.layer is not None
        and module.kind.adaptable
        and group in _WORDS
        and not module.role.value.endswith(".other")
    )
    return group if is_one else None


def _layers(subject: Subject, tower: Tower) -> _Layers:
    kinds: dict[int, set[str]] = {}
    for module in subject.model.modules:
        group = _group(module, tower)
        if group is not None and module.layer is not None:
            kinds.setdefault(module.layer, set()).add(group)
    adapted = (_group(module, tower) for _, module in subject.adapted)
    return _Layers(
        {layer: frozenset(groups) for layer, groups in kinds.items()},
        frozenset(group for group in adapted if group is not None),
    )


def _problem(subject: Subject, tower: Tower, layers: _Layers) -> Problem:
    without = frozenset(layers.without)
    missed = Counter(group for layer in without for group in layers.kinds[layer])
    reached = [_WORDS[group] for group in _WORDS if group in layers.reached]
    names = _names(subject, tower, without)
    first = next(t.entry for t, m in subject.adapted if _group(m, tower) is not None)
    entries = subject.entries_of(Where.TARGET_MODULES)
    own = next((entry.entry for entry in entries if entry.matched), first)
    mixers = " and ".join(_WORDS[group] for group, _ in missed.most_common())
    return Problem(
        entry=own,
        message=(
            f"In {len(without)} of the {len(layers.kinds)} layers that mix tokens, {mixers} does "
            f"it, and nothing there is adapted: the targets reach {listed(reached)} in the other "
            f"{len(layers.kinds) - len(without)} only."
        ),
        hint=f"Add {shown(names)} to adapt those layers too."
        if names
        else "Nothing in those mixers can be adapted; adapt the feed-forwards as well.",
        where=Where.TARGET_MODULES,
        paths=tuple(_paths(subject, tower, without)),
    )


def _names(subject: Subject, tower: Tower, layers: Set[int]) -> list[str]:
    return list(dict.fromkeys(path.rpartition(".")[2] for path in _paths(subject, tower, layers)))


def _paths(subject: Subject, tower: Tower, layers: Set[int]) -> Iterator[str]:
    """Yield the projections in the mixers of some layers that LoRA does well to adapt."""
    for module in subject.model.adaptable:
        if (
            module.layer in layers
            and module.tower is tower
            and module.role in _PROJECTIONS
            and module.kind in (Kind.LINEAR, Kind.CONV1D)
            and not _BAD.intersection(module.hazards)
        ):
            yield module.path


RULE = Rule(
    code="LT004",
    name="few-layers-of-hybrid",
    severity=Severity.WARNING,
    summary="On a hybrid model the targets are mixers that few of its layers have.",
    why=(
        "In Jamba 4 of 32 layers have attention, in Qwen3-Next 12 of 48; the others have a "
        "state-space block or linear attention, with projections of other names. `q_proj` and "
        "`v_proj`, which reach every layer of Llama, then adapt the mixers of a few layers. Models "
        "that have both side by side in every layer, such as Falcon-H1, are not meant."
    ),
    instead="Name the projections of the other mixers as well, or take a preset.",
    bad=Example("Jamba", {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}),
    good=Example(
        "Jamba", {"target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "in_proj", "x_proj"]}
    ),
    reports=("huggingface/peft#3554",),
    needs=Needs.MATCH,
    find=find,
)
