"""What stands between a configuration and an engine that serves it as it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.matching import Match, Where
from lorascope.serving.adapter_forms import Experts, adapter_forms
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.features import MERGE, Used, last_names, used_features
from lorascope.serving.parts import ServedPart, served_scales
from lorascope.serving.stored_experts import as_stored, stored_experts
from lorascope.serving.support import Does, Fate, Support, fates, support_of


class Severity(StrEnum):
    """How much is in the way."""

    REFUSED = "refused"
    """The engine does not load the adapter."""
    CHANGED = "changed"
    """It loads it and answers otherwise than the trained model."""
    OPTION = "option"
    """It serves it as trained if it is started with an option."""
    NOTE = "note"
    """Nothing is known to be in the way, and not enough is known to say that nothing is."""

    @property
    def is_hard(self) -> bool:
        """Whether it is not served as trained, whatever the engine is started with."""
        return self in (Severity.REFUSED, Severity.CHANGED)


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

    @property
    def inside(self) -> str:
        """`what` inside of a sentence; names such as DoRA stay as they are."""
        what = self.what
        return what if what[1:2].isupper() or what[2:3].isupper() else what[:1].lower() + what[1:]


def troubles(engine: Engine, inventory: Inventory, match: Match) -> tuple[Trouble, ...]:
    """Return everything that is in the way on a model; nothing if it is served as trained."""
    found = limits(engine, match.spec, match, inventory)
    return (*found, *_of_scales(engine, match, found))


def limits(
    engine: Engine,
    spec: LoraSpec,
    match: Match | None,
    inventory: Inventory | None,
    stored: Iterable[StoredTensor] | None = None,
) -> tuple[Trouble, ...]:
    """Return what an engine refuses, leaves out or needs an option for; scales aside.

    Args:
        engine: The engine.
        spec: As PEFT gets it.
        match: What PEFT makes of it; None if that is not known.
        inventory: Of the base model; None if it is not known.
        stored: Tensors of the trained adapter; None if there are none to read.
    """
    support = None if inventory is None else support_of(engine, inventory)
    stored = None if stored is None else tuple(stored)
    known = None if match is None or inventory is None else (match, inventory)
    singles = {} if known is None else stored_experts(*known, stored or ())
    match = None if match is None else as_stored(match, singles)
    found = [] if support is None or inventory is None else [*_of_model(support, inventory)]
    served = singles if _takes_single_experts(engine, support) else {}
    for feature, used in used_features(spec, match, inventory, stored, served).items():
        trouble = _of_feature(engine, feature, used)
        if trouble is not None and not _is_judged_by_class(feature, support):
            found.append(trouble)
    if support is not None and match is not None and inventory is not None:
        found += _of_fates(support, fates(support, match, inventory, singles))
    found += _of_rank(engine, spec, match)
    return tuple(found)


def scales(
    engine: Engine,
    match: Match,
    inventory: Inventory | None,
    found: Iterable[Trouble],
    spec: LoraSpec | None = None,
    stored: Iterable[StoredTensor] | None = None,
) -> tuple[ServedPart, ...]:
    """Return how strongly each target is served that is not left out.

    Args:
        engine: The engine.
        match: What PEFT makes of the configuration.
        inventory: Of the base model; None if it is not known.
        found: What `limits` says.
        spec: As PEFT gets it; None for the one of the match.
        stored: Tensors of the trained adapter; None if there are none to read.
    """
    lost = {path for each in found if each.severity.is_hard for path in each.paths}
    if stored is not None and inventory is not None:
        match = as_stored(match, stored_experts(match, inventory, stored))
    kept = [target for target in match.targets if target.path not in lost]
    return served_scales(engine, kept, match.spec if spec is None else spec)


def _of_model(support: Support, inventory: Inventory) -> Iterator[Trouble]:
    """Say that an engine has no class of its own for the model, so that names are not judged."""
    if not support.is_unknown or not inventory.model.is_transformers_class:
        return
    yield Trouble(
        support.engine,
        Feature.UNKNOWN_MODEL,
        Severity.NOTE,
        f"A model of class {support.architecture}",
        "has no class of its own for",
        "Try whether it serves the base model before training for it.",
        where="",
        entry=support.architecture,
        why="it runs it with transformers if it can, or refuses the model",
    )


def _takes_single_experts(engine: Engine, support: Support | None) -> bool:
    """Whether factors of experts, stored one by one, are no reason to refuse the adapter."""
    form = adapter_forms()[engine.name]
    return form.experts_of(None if support is None else support.model_class) is Experts.SINGLE


def _of_feature(engine: Engine, feature: Feature, used: Used) -> Trouble | None:
    if feature is Feature.MODULES_TO_SAVE and engine.saves.issuperset(used.saved):
        return None
    if used.is_idle and feature not in engine.by_field:
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
        does = f"needs {fate.needed} for" if fate.needed else does
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


def _one_scale(engine: Engine, match: Match) -> str:
    """Say what to do about other scales: a rank that is the same for all may be padded."""
    ranks = {target.rank for target in match.targets}
    padded = {adapter_forms()[engine.name].rank_from(rank) for rank in ranks}
    if len(ranks) == 1 and padded != ranks:
        return f"Take r {padded.pop()}, or another rank that it does not pad: 8, 16, 32, 48, …"
    return "Give every target one rank and one alpha."


def _of_scales(engine: Engine, match: Match, found: Iterable[Trouble]) -> Iterator[Trouble]:
    if Feature.PATTERNS in engine.refuses and any(t.rank != match.spec.r for t in match.targets):
        return
    for part in scales(engine, match, None, found):
        if part.is_same or part.factor is None:
            continue
        yield Trouble(
            engine,
            Feature.PATTERNS,
            Severity.CHANGED,
            f"{part.modules} by x{part.factor:.4g} of what was trained",
            "scales",
            _one_scale(engine, match),
            where=Where.ALPHA_PATTERN if match.spec.alpha_pattern else Where.RANK_PATTERN,
            paths=part.paths,
        )
