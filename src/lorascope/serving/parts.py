"""By which factor the contribution of each module differs when an engine serves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lorascope.core.numbers import counted
from lorascope.core.spec import LoraSpec
from lorascope.matching import MatchedTarget
from lorascope.serving.adapter_forms import adapter_forms
from lorascope.serving.engines import Engine
from lorascope.serving.features import last_names

_SAME = 1e-6
"""Relative difference of two scales that are the same number."""


@dataclass(frozen=True, slots=True)
class ServedPart:
    """Targets whose contribution differs by the same factor."""

    factor: float | None
    """Served divided by trained scale; 0 for what is left out, None if nothing is served."""
    paths: tuple[str, ...]
    """All of them, in the order in which they are adapted."""
    trained: float = 0.0
    """Scale of the first."""
    served: float = 0.0

    @property
    def is_same(self) -> bool:
        """Whether it is served as trained."""
        return self.factor is not None and abs(self.factor - 1) <= _SAME

    @property
    def names(self) -> str:
        """Ends of the paths, each once."""
        return last_names(self.paths)

    @property
    def modules(self) -> str:
        """In words: `96 modules (gate_proj, up_proj, down_proj)`."""
        return f"{counted(len(self.paths), 'module')} ({self.names})"

    @property
    def text(self) -> str:
        """In words: `x0.5 on 96 modules (gate_proj, up_proj, down_proj)`."""
        factor = "none" if self.factor is None else f"x{self.factor:.4g}"
        return f"{factor} on {self.modules}"


def served_scales(
    engine: Engine, targets: Iterable[MatchedTarget], spec: LoraSpec
) -> tuple[ServedPart, ...]:
    """Group targets by the factor between served and trained scale, the largest group first."""
    return _grouped(_factors(engine, targets, spec))


def _factors(
    engine: Engine, targets: Iterable[MatchedTarget], spec: LoraSpec
) -> Iterator[tuple[float, MatchedTarget, float]]:
    listed = tuple(targets)
    ranks = _ranks_read(engine, listed, spec)
    for target in listed:
        read = ranks.get(_kind(target), spec.r)
        served = engine.scale_of(target, spec if read == spec.r else replace(spec, r=read))
        if target.scaling:
            yield _rounded(served / target.scaling), target, served
        else:  # alpha 0: nothing is added, whatever the engine does
            yield 1.0, target, served


def _ranks_read(engine: Engine, targets: Iterable[MatchedTarget], spec: LoraSpec) -> dict[str, int]:
    """Return the rank that an engine divides by, for each kind of layer.

    One that pads ranks forgets `r` on the way: after each kind, in the order of the model, it goes
    on with the padded rank of that kind's first layer. Source: see `adapter_forms.toml`.
    """
    form = adapter_forms()[engine.name]
    if not form.block:
        return {}
    ranks: dict[str, int] = {}
    read = spec.r
    for target in targets:
        if _kind(target) not in ranks:
            ranks[_kind(target)] = read
            read = form.rank_from(target.rank)
    return ranks


def _kind(target: MatchedTarget) -> str:
    return target.path.rpartition(".")[2]


def _grouped(found: Iterable[tuple[float, MatchedTarget, float]]) -> tuple[ServedPart, ...]:
    groups: dict[float, list[tuple[MatchedTarget, float]]] = {}
    for factor, target, served in found:
        groups.setdefault(factor, []).append((target, served))
    parts = [
        ServedPart(
            factor,
            tuple(target.path for target, _ in group),
            group[0][0].scaling,
            group[0][1],
        )
        for factor, group in groups.items()
    ]
    return tuple(sorted(parts, key=lambda part: -len(part.paths)))


def _rounded(factor: float) -> float:
    return 1.0 if abs(factor - 1) <= _SAME else float(f"{factor:.9g}")
