"""LT041: a rank above what the adapted matrix itself can have."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.core.numbers import exact
from lorascope.core.roles import ROUTERS, Kind
from lorascope.matching import MatchedTarget

_MATRICES = frozenset({Kind.LINEAR, Kind.CONV1D, Kind.EXPERT_PARAMETER})


def find(subject: Subject) -> Iterator[Problem]:
    """Find targets whose rank is above their smaller side; routers have a rule of their own."""
    above = [(t, m) for t, m in subject.adapted if m.role not in ROUTERS and _is_above(t, m)]
    if not above:
        return
    target, module = above[0]
    side = _smaller_side(module)
    names = listed(dict.fromkeys(module.name for _, module in above))
    weight = (module.in_features or 0) * (module.out_features or 0) * (module.experts or 1)
    yield Problem(
        entry=str(target.rank),
        message=(
            f"Rank {target.rank} is above the smaller side of {len(above)} of "
            f"{len(subject.targets)} targets ({names}): {module.path} is "
            f"{module.in_features} → {module.out_features} and has {exact(weight)} weights, its "
            f"adapter {exact(target.params)}."
        ),
        hint=(
            f"A rank above {side} adds nothing there: leave it out, save it whole, or give it "
            "a lower rank with rank_pattern."
        ),
        where="rank_pattern" if target.rank_key else "r",
        paths=tuple(target.path for target, _ in above[:MOST_PATHS]),
    )


def _is_above(target: MatchedTarget, module: Module) -> bool:
    return module.kind in _MATRICES and target.rank > _smaller_side(module) > 0


def _smaller_side(module: Module) -> int:
    return min(module.in_features or 0, module.out_features or 0)


RULE = Rule(
    code="LT041",
    name="rank-above-full",
    severity=Severity.INFO,
    summary="The rank is above the smaller side of a targeted matrix.",
    why=(
        "B·A has no more than the smaller side of the matrix as its rank. Above that the adapter "
        "has more parameters than the weight and can say nothing more. `all-linear` reaches such "
        "layers: classifiers of two labels, gates with one output."
    ),
    instead="Leave these modules out, or save them whole.",
    bad=Example("Qwen2.5-0.5B", {"target_modules": ["q_proj", "k_proj", "v_proj"], "r": 256}),
    good=Example("Qwen2.5-0.5B", {"target_modules": ["q_proj", "k_proj", "v_proj"], "r": 128}),
    reports=("huggingface/diffusers#4593",),
    needs=Needs.MATCH,
    find=find,
)
