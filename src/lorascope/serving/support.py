"""What an engine's class of a model does with LoRA on each of its modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import PERCEPTION, Kind
from lorascope.matching import Match, MatchedTarget
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.facts import NUMBERED, Facts, ModelClass, facts_of
from lorascope.serving.features import adapted
from lorascope.serving.stored_experts import StoredExperts

_MIXED_EXPERTS = "--enable-mixed-moe-lora-format (and is_3d_lora_weight of the request)"
_MIXED_EXPERTS_SINGLE = "--enable-mixed-moe-lora-format"


class Does(StrEnum):
    """What becomes of LoRA on a module."""

    REFUSES = "refuses"
    """The engine does not load the adapter."""
    IGNORES = "ignores"
    """The module is left out without an error."""
    NEEDS = "needs"
    """It is served if the engine is started with an option."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of LoRA on some modules; those that are served have none."""

    does: Does
    feature: Feature
    why: str
    """Half a sentence that follows the names."""
    instead: str
    """What to do, one sentence."""
    needed: str = ""
    """What has to be adapted as well; empty where it is refused for another reason."""


@dataclass(frozen=True, slots=True)
class Support:
    """What an engine knows of a model's class."""

    engine: Engine
    architecture: str
    facts: Facts | None = field(default=None, repr=False)
    """None where the engine's classes were not read: then only its own limits count."""
    model_class: ModelClass | None = None
    """None if the engine has no class of its own for it."""

    @property
    def is_unknown(self) -> bool:
        """Whether the engine's classes were read, and none of them is for this model."""
        return self.facts is not None and self.model_class is None

    @property
    def takes_adapters(self) -> bool:
        """Whether its class takes adapters, as far as is known."""
        return self.model_class is None or self.model_class.lora

    @property
    def names(self) -> frozenset[str] | None:
        """Last names that it adapts; None if all, or that is not known."""
        return self.engine.names or (None if self.model_class is None else self.model_class.takes)


def support_of(engine: Engine, inventory: Inventory) -> Support:
    """Return what an engine knows of a model's class."""
    architecture = inventory.model.cls
    facts = facts_of(engine.name)
    found = None if facts is None else facts.class_of(architecture)
    return Support(engine, architecture, facts, found)


def fates(
    support: Support,
    match: Match,
    inventory: Inventory,
    singles: Mapping[str, StoredExperts] | None = None,
) -> dict[str, Fate]:
    """Return what becomes of each target that is not simply served, by its path.

    Args:
        support: What the engine knows of the model's class.
        match: What PEFT makes of the configuration.
        inventory: Of the base model.
        singles: What the adapter stores expert by expert, see `stored_experts`.
    """
    singles = {} if singles is None else singles
    rows = adapted(match, inventory)
    found: dict[str, Fate] = {}
    for target, row in rows:
        fate = _fate(support, target, row, singles.get(target.path))
        if fate is not None:
            found[target.path] = fate
    if support.engine.name == "vllm":
        stacked = tuple(each for each in rows if each[0].path not in singles)
        found |= dict(_halves_of_experts(support, stacked))
    elif support.engine.name == "sglang":
        found |= dict(_apart(support, rows))
    return found


def _fate(
    support: Support, target: MatchedTarget, row: Module, single: StoredExperts | None
) -> Fate | None:
    engine, cls = support.engine, support.model_class
    if not support.takes_adapters:
        return Fate(
            Does.REFUSES,
            Feature.UNSUPPORTED_MODEL,
            f"its class for {support.architecture} takes no adapters",
            "Merge the adapter into the model (merge_and_unload) and serve that.",
        )
    if engine.names and row.kind is not Kind.EXPERT_PARAMETER:
        return _by_name(support, row)
    if cls is None:
        return None
    if engine.name == "vllm":
        if _is_expert(row):
            return _vllm_expert(cls, target, single)
        return _vllm(support, cls, row)
    if engine.name == "sglang" and not _is_expert(row) and row.tower not in PERCEPTION:
        return _sglang(support, cls, row)
    return None


def _is_expert(row: Module) -> bool:
    return row.kind is Kind.EXPERT_PARAMETER


def _by_name(support: Support, row: Module) -> Fate | None:
    """Of an engine that looks for names of its own: whatever else there is, it does not see."""
    engine = support.engine
    if row.name in engine.names and row.path.startswith(engine.paths):
        return None
    why = (
        f"it adapts {', '.join(sorted(engine.names))} alone"
        if row.name not in engine.names
        else f"it looks for names that begin with {engine.paths[0]!r}"
    )
    return Fate(Does.IGNORES, Feature.UNKNOWN_NAME, why, "Leave these out of the targets.")


def _vllm(support: Support, cls: ModelClass, row: Module) -> Fate | None:
    end = "lora_embedding_A" if row.kind is Kind.EMBEDDING else "lora_A.weight"
    name = cls.renamed(f"{row.path}.{end}")
    if name is None:
        return None
    name = name.removesuffix(f".{end}")
    if any(f".{start}" in name or name.startswith(start) for start in cls.skips):
        return Fate(
            Does.IGNORES, Feature.UNKNOWN_NAME, f"{cls.name} skips them", "Leave these out."
        )
    last = name.rpartition(".")[2]
    last = NUMBERED if last.isdigit() else last
    if cls.takes is not None and last not in cls.takes and ".experts." not in name:
        return _vllm_unexpected(cls, row, last)
    if row.tower in PERCEPTION and cls.has_parts:
        return _vllm_tower(support, cls)
    return None


def _vllm_unexpected(cls: ModelClass, row: Module, last: str) -> Fate:
    joined = next((k for k, parts in (cls.packed or {}).items() if last == k != parts[0]), None)
    if joined is not None:
        parts = ", ".join((cls.packed or {})[joined])
        why = f"{cls.name} expects {parts} instead"
    elif row.kind is Kind.EMBEDDING or row.path == "lm_head":
        kept = ", ".join(sorted(cls.embeddings)) or "none"
        why = f"of embeddings and output layers {cls.name} adapts {kept}"
    else:
        why = f"{cls.name} has no layer of this name that takes LoRA"
    return Fate(
        Does.REFUSES,
        Feature.UNKNOWN_NAME,
        f"{why} ('While loading …, expected target modules in …')",
        "Leave these out of the targets, or merge the adapter into the model.",
    )


def _vllm_tower(support: Support, cls: ModelClass) -> Fate:
    if not cls.towers:
        return Fate(
            Does.IGNORES,
            Feature.PERCEPTION_TOWER,
            f"{cls.name} adapts its language model alone",
            "Exclude these towers.",
        )
    option = support.engine.needs[Feature.PERCEPTION_TOWER]
    return Fate(Does.NEEDS, Feature.PERCEPTION_TOWER, option, "Or exclude these towers.")


def _vllm_expert(
    cls: ModelClass, target: MatchedTarget, single: StoredExperts | None
) -> Fate | None:
    """Judge the factors of experts: stacked, which PEFT stores beside their holder, or single."""
    container = target.path.rpartition(".")[0]
    container = container if single is None else f"{single.holder}.experts"
    name = cls.renamed(f"{container}.lora_A.weight")
    if cls.experts is None or name is None:
        return None
    holder = name.removesuffix(".lora_A.weight").rpartition(".")[0].rpartition(".")[2]
    if cls.around_experts and holder not in cls.around_experts:
        where = ", ".join(sorted(cls.around_experts))
        return Fate(
            Does.IGNORES,
            Feature.EXPERT_PARAMETERS,
            f"{cls.name} holds its experts in {where}, the adapter has them in {holder}",
            "Leave the experts out, or merge the adapter into the model.",
        )
    if (cls.experts == "2d") is (single is not None):
        return None
    option = _MIXED_EXPERTS if single is None else _MIXED_EXPERTS_SINGLE
    return Fate(Does.NEEDS, Feature.EXPERT_PARAMETERS, option, "Or leave the experts out.")


def _halves_of_experts(
    support: Support, rows: tuple[tuple[MatchedTarget, Module], ...]
) -> Iterator[tuple[str, Fate]]:
    """Find stacked experts of which only one half is adapted: loading them fails."""
    cls = support.model_class
    if cls is None or cls.experts != "3d":
        return
    halves: dict[str, list[str]] = {}
    for target, row in rows:
        if _is_expert(row):
            halves.setdefault(target.path.rpartition(".")[0], []).append(target.path)
    for paths in halves.values():
        if len(paths) == 1:
            yield (
                paths[0],
                Fate(
                    Does.REFUSES,
                    Feature.EXPERT_PARAMETERS,
                    "it needs both parameters of an expert, gate_up_proj and down_proj",
                    "Adapt both, or leave the experts out.",
                ),
            )


def _sglang(support: Support, cls: ModelClass, row: Module) -> Fate | None:
    stated = {} if support.facts is None else support.facts.stated
    normal = stated["normal_names"].get(row.name, row.name)
    known = {*stated["sizes"], *cls.also, *(cls.sizes or ())}
    if cls.sizes is None or normal in known or any(normal == k.rpartition(".")[2] for k in known):
        return None
    return Fate(
        Does.REFUSES,
        Feature.UNKNOWN_NAME,
        f"it knows no sizes of {normal} in {cls.name}",
        "Leave these out of the targets, or merge the adapter into the model.",
    )


def _apart(
    support: Support, rows: tuple[tuple[MatchedTarget, Module], ...]
) -> Iterator[tuple[str, Fate]]:
    """Find parts of a layer that SGLang joins, adapted without the parts that it starts from."""
    takes_up = support.model_class is not None and "up_proj" in support.model_class.also
    beside: dict[str, dict[str, str]] = {}
    for target, row in rows:
        if not _is_expert(row) and row.tower not in PERCEPTION:
            parent, _, name = row.path.rpartition(".")
            beside.setdefault(parent, {})[name] = target.path
    for names in beside.values():
        joined = {"q_proj", "k_proj", "v_proj"} & names.keys()
        if joined and not {"q_proj", "v_proj"} <= joined:
            yield from _not_joined(
                names,
                joined,
                "q_proj and v_proj together",
                "Adapt q_proj and v_proj together, or neither, nor k_proj.",
            )
        if "up_proj" in names and "gate_proj" not in names and not takes_up:
            yield from _not_joined(
                names,
                {"up_proj"},
                "gate_proj beside up_proj",
                "Adapt gate_proj as well, or leave up_proj out.",
            )


def _not_joined(
    names: dict[str, str], joined: set[str], needed: str, instead: str
) -> Iterator[tuple[str, Fate]]:
    fate = Fate(
        Does.REFUSES,
        Feature.UNKNOWN_NAME,
        "it joins them into one layer",
        instead,
        needed,
    )
    yield from ((names[name], fate) for name in sorted(joined))
