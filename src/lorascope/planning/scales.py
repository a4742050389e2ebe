"""`r`, `lora_alpha` and the smallest patterns that give each target its own rank and alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lorascope.planning.suffixes import shortest_suffixes


@dataclass(frozen=True, slots=True)
class Scale:
    """Rank and alpha of one target."""

    rank: int
    alpha: float


@dataclass(frozen=True, slots=True)
class ScaleFields:
    """The fields of a LoRA configuration that give ranks and alphas."""

    default: Scale
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scaled:
    """One target's name and what it shall get."""

    name: str
    scale: Scale
    is_parameter: bool


def scale_fields(targets: Sequence[Scaled], main: Scale) -> ScaleFields:
    """Write the scales with as few keys as possible.

    The main scale is the default, unless another one spares keys that name parameters only:
    PEFT applies those too, but warns that it ignored them.
    """
    distinct = dict.fromkeys((main, *(target.scale for target in targets)))
    present = {target.scale for target in targets}
    best = min(
        (scale for scale in distinct if scale in present),
        key=lambda scale: (_parameters_apart(targets, scale), scale != main),
    )
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    for scale in distinct:
        if scale == best:
            continue
        for key in _keys(targets, scale):
            if scale.rank != best.rank:
                rank_pattern[key] = scale.rank
            if scale.alpha != best.alpha:
                alpha_pattern[key] = scale.alpha
    return ScaleFields(best, rank_pattern, alpha_pattern)


def _parameters_apart(targets: Sequence[Scaled], default: Scale) -> bool:
    return any(target.is_parameter and target.scale != default for target in targets)


def _keys(targets: Sequence[Scaled], scale: Scale) -> tuple[str, ...]:
    """Suffixes that hold for the targets of this scale and for no other target."""
    wanted = [target.name for target in targets if target.scale == scale]
    others = [target.name for target in targets if target.scale != scale]
    return shortest_suffixes(wanted, others, bare=("weight",)) or tuple(wanted)
