"""What stands between a configuration and an engine that serves it as it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.spec import LoraSpec
from lorascope.matching import Match, Where
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.features import MERGE, Used, last_names, used_features
from lorascope.serving.parts import served_scales
from lorascope.serving.support import Does, Fate, Support, fates, support_of


class Severity(StrEnum):
    """How much is in the way."""

    REFUSED = "refused"
    """The engine does not load the adapter."""
    CHANGED = "changed"
    """It loads it and answers otherwise than the trained model."""
    OPTION = "option"
    """It serves it as trained if it is started with an option."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is in the way."""

    engine: Engine
    feature: Feature
    severity: Severity
    what: str
    """In words, as the start of a sentence."""
    does: str
    """What the engine does, with "it" or its title before: `refuses`, `leaves out`, …"""
    instead: str
    """What to do, one sentence."""
    where: str = Where.TARGET_MODULES
    """Field of the configuration that asks for it."""
    entry: str = ""
    """The value as the user wrote it, or the names concerned."""
    paths: tuple[str, ...] = ()
    """All modules concerned; empty if it is about none."""
    why: str = ""
    """Why, half a sentence; empty if there is nothing to add."""
    option: str = ""
    """What the engine has to be started with; empty unless that is what is needed."""


def troubles(engine: Engine, inventory: Inventory, match: Match) -> tuple[Trouble, ...]:
    """Return everything that is in the way on a model; nothing if it is served as trained."""
    return (*limits(engine, match.spec, match, inventory), *_of_scales(engine, match))


def limits(
    engine: Engine, spec: LoraSpec, match: Match | None, inventory: Inventory | None
) -> tuple[Trouble, ...]:
    """Return what an engine refuses, leaves out or needs an option for; scales aside.

    Args:
        engine: The engine.
        spec: As PEFT gets it.
        match: What PEFT makes of it; None if that is not known.
        inventory: Of the base model; None if it is not known.
    """
    support = None if inventory is None else support_of(engine, inventory)
    found = []
    for feature, used in used_features(spec, match, inventory).items():
        trouble = _of_feature(engine, feature, used)
        if trouble is not None and not _is_judged_by_class(feature, support):
            found.append(trouble)
    if support is not None and match is not None and inventory is not None:
        found += _of_fates(support, fates(support, match, inventory))
    found += _of_rank(engine, spec, match)
    return tuple(found)


def _of_feature(engine: Engine, feature: Feature, used: Used) -> Trouble | None:
    if feature is Feature.MODULES_TO_SAVE and engine.saves.issuperset(used.saved):
        return None
    if feature in engine.refuses:
        severity, does = Severity.REFUSED, "refuses"
    elif feature in engine.ignores:
        severity, does = Severity.CHANGED, "leaves out"
    elif feature in engine.needs:
        severity, does = Severity.OPTION, f"needs {engine.needs[feature]} for"
    else:
        return None
    instead = used.instead
    if severity is Severity.OPTION:
        instead = f"Start it with {engine.needs[feature]}. Or: {used.instead}"
    return Trouble(
        engine,
        feature,
        severity,
        used.what,
        does,
        instead,
        where=used.where,
        entry=used.entry,
        paths=used.paths,
        option=engine.needs[feature] if severity is Severity.OPTION else "",
    )


def _is_judged_by_class(feature: Feature, support: Support | None) -> bool:
    """Whether the engine's class of the model says more about a feature than the engine does."""
    if support is None or support.model_class is None:
        return False
    return feature is Feature.PERCEPTION_TOWER and support.engine.name == "vllm"


_DOES = {
    Does.REFUSES: (Severity.REFUSED, "refuses"),
    Does.IGNORES: (Severity.CHANGED, "leaves out"),
    Does.NEEDS: (Severity.OPTION, "needs an option for"),
}


def _of_fates(support: Support, found: dict[str, Fate]) -> Iterator[Trouble]:
    by_fate: dict[Fate, list[str]] = {}
    for path, fate in found.items():
        by_fate.setdefault(fate, []).append(path)
    for fate, paths in by_fate.items():
        severity, does = _DOES[fate.does]
        is_option = fate.does is Does.NEEDS
        is_expert = fate.feature is Feature.EXPERT_PARAMETERS
        yield Trouble(
            support.engine,
            fate.feature,
            severity,
            f"LoRA on {counted(len(paths), 'module')} ({last_names(paths)})",
            does,
            f"Start it with {fate.why}. {fate.instead}" if is_option else fate.instead,
            where=Where.TARGET_PARAMETERS if is_expert else Where.TARGET_MODULES,
            entry=last_names(paths),
            paths=tuple(paths),
            why="" if is_option else fate.why,
            option=fate.why if is_option else "",
        )


def _of_rank(engine: Engine, spec: LoraSpec, match: Match | None) -> Iterator[Trouble]:
    """Compare the largest rank with the limit; vLLM counts the global one, used or not."""
    ranks = {spec.r, *spec.rank_pattern.values()}
    if match is not None:
        ranks |= {target.rank for target in match.targets}
    rank = max(ranks)
    if not engine.ranks or rank <= engine.usual_rank:
        return
    enough = next((each for each in engine.ranks if each >= rank), None)
    if enough is None:
        yield Trouble(
            engine,
            Feature.RANK,
            Severity.REFUSED,
            f"Rank {rank}",
            "refuses",
            f"Train with r up to {engine.ranks[-1]}, or {MERGE}.",
            where="r",
            entry=str(rank),
            why=f"the largest that it serves is {engine.ranks[-1]}",
        )
        return
    option = f"{engine.rank_option} {enough}"
    yield Trouble(
        engine,
        Feature.RANK,
        Severity.OPTION,
        f"Rank {rank}",
        f"needs {option} for",
        f"Start it with {option}.",
        where="r",
        entry=str(rank),
        why=f"its limit is {engine.usual_rank} if nobody sets another",
        option=option,
    )


def _of_scales(engine: Engine, match: Match) -> Iterator[Trouble]:
    if Feature.PATTERNS in engine.refuses and any(t.rank != match.spec.r for t in match.targets):
        return
    for part in served_scales(engine, match.targets, match.spec):
        if part.is_same:
            continue
        yield Trouble(
            engine,
            Feature.PATTERNS,
            Severity.CHANGED,
            f"A scale of {part.text}",
            "misreads",
            "Give every target one rank and one alpha.",
            where=Where.ALPHA_PATTERN if match.spec.alpha_pattern else Where.RANK_PATTERN,
            paths=part.paths,
        )
