"""Ways to say in PEFT's fields what is wanted, for tools that hand their settings to PEFT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any

from lorascope.core.errors import ExportError
from lorascope.exporting.idle import at_work, saving
from lorascope.matching.configured import Configured
from lorascope.matching.result import MatchedTarget
from lorascope.planning.scales import Scale, Scaled, scale_fields
from lorascope.planning.targets import Planned, candidates

_SHORT_LIST = 16
"""Names up to which a list stays as it is; a longer one is tried last."""

_CHOOSING = (
    "target_modules",
    "exclude_modules",
    "target_parameters",
    "layers_to_transform",
    "layers_pattern",
)
_SCALING = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora")


def ways(wanted: Configured) -> Iterator[dict[str, Any]]:
    """Return mappings of PEFT's fields that mean the same, the most readable first.

    Fields that choose neither targets nor scales are the same in all of them. Ways without
    `rank_pattern` come last for each way of choosing, and may give other ranks.
    """
    spec = wanted.spec
    rest = {
        name: value for name, value in wanted.fields.items() if name not in (*_CHOOSING, *_SCALING)
    }
    if spec.modules_to_save and rest.get("modules_to_save"):
        rest["modules_to_save"] = list(saving(spec.modules_to_save, wanted)) or None
    scales = list(_scales(wanted))
    for targets in _targets(wanted):
        for scale in scales:
            yield {**rest, "lora_dropout": spec.lora_dropout, **targets, **scale}


def _targets(wanted: Configured) -> Iterator[Mapping[str, Any]]:
    spec = wanted.spec
    own = {name: getattr(spec, name) for name in _CHOOSING}
    for name in ("target_modules", "target_parameters"):
        names = own[name]
        if names and not isinstance(names, str):
            own[name] = at_work(names, wanted) or names
    listed = own["target_modules"]
    is_short = isinstance(listed, str) or len(listed or ()) <= _SHORT_LIST
    is_stated = listed is not None  # else PEFT chooses, which another release may do otherwise
    if is_stated and is_short:
        yield own
    for each in candidates(wanted.inventory, _planned(wanted), sorted(wanted.saved)):
        yield {
            "target_modules": each.target_modules,
            "exclude_modules": None,
            "target_parameters": each.target_parameters,
            "layers_to_transform": each.layers_to_transform,
            "layers_pattern": each.layers_pattern,
        }
    if is_stated and not is_short:
        yield own


def _planned(wanted: Configured) -> list[Planned]:
    known = wanted.inventory.by_path
    return [
        Planned(
            known.get(each.path) or known[each.path.rpartition(".")[0]],
            each.path,
            each.is_parameter,
        )
        for each in wanted.match.targets
    ]


def _scales(wanted: Configured) -> Iterator[Mapping[str, Any]]:
    """Ranks and alphas as they are, without rsLoRA, and one rank and alpha for all."""
    spec, targets = wanted.spec, wanted.match.targets
    yield {name: getattr(spec, name) for name in _SCALING}
    if not targets:
        return
    main = main_target(wanted)
    for is_root in dict.fromkeys((spec.use_rslora, False)):
        scaled = [
            Scaled(each.path, _scale(each, is_root=is_root), each.is_parameter) for each in targets
        ]
        default = _scale(main, is_root=is_root)
        written = scale_fields(scaled, default)
        yield {
            "r": written.default.rank,
            "lora_alpha": written.default.alpha,
            "rank_pattern": written.rank_pattern,
            "alpha_pattern": written.alpha_pattern,
            "use_rslora": is_root,
        }
        yield {
            "r": default.rank,
            "lora_alpha": default.alpha,
            "rank_pattern": {},
            "alpha_pattern": {},
            "use_rslora": is_root,
        }


def main_target(wanted: Configured) -> MatchedTarget:
    """Return the target whose rank and scale a tool gets that has one for all.

    That is one with the rank that the configuration states for all, or, if that holds for none,
    with the rank of most.

    Raises:
        ExportError: It adapts nothing.
    """
    targets: Sequence[MatchedTarget] = wanted.match.targets
    if not targets:
        raise ExportError(f"{wanted.origin} adapts no module.", "Name its targets.")
    spec = wanted.spec
    plain = [target for target in targets if target.rank == spec.r]
    counts = Counter((target.rank, target.alpha) for target in plain or targets)
    rank, alpha = (
        (spec.r, spec.lora_alpha)
        if (spec.r, spec.lora_alpha) in counts
        else counts.most_common(1)[0][0]
    )
    return next(t for t in targets if (t.rank, t.alpha) == (rank, alpha))


def _scale(target: MatchedTarget, *, is_root: bool) -> Scale:
    """Return the rank, and the alpha that gives the scaling: over √r with rsLoRA, else over r."""
    alpha = target.scaling * (sqrt(target.rank) if is_root else target.rank)
    return Scale(target.rank, plain_number(alpha))


def plain_number(value: float) -> float:
    """Return a number without what floating point added to it, an int if it is whole."""
    near = round(value, 9)
    return int(near) if near == int(near) else near
