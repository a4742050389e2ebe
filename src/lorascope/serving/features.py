"""Which features, that some engine lacks, a configuration makes use of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import PERCEPTION, Kind
from lorascope.core.spec import LoraSpec
from lorascope.core.stored import StoredTensor
from lorascope.matching import Match, MatchedTarget, Where
from lorascope.matching.all_linear import SHORTHAND
from lorascope.serving.engines import Feature

MERGE = "merge the adapter into the model (merge_and_unload) and serve that"
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq")
"""Starts of `init_lora_weights` that change the base model's own weights when PEFT loads it.

Source: peft 0.21.2, `pissa_init`, `olora_init`, `corda_init` and `loftq_init` in
`tuners/lora/layer.py`."""
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Used:
    """A feature that is made use of."""

    entry: str
    """The value as the user wrote it."""
    what: str
    """In words, as the start of a sentence."""
    where: str
    """Field of the configuration that asks for it."""
    instead: str
    """What to do for an engine without it."""
    paths: tuple[str, ...] = ()
    saved: tuple[str, ...] = ()
    """Last names of the modules that are saved whole."""
    is_idle: bool = False
    """Whether it is asked for and makes no difference on this model."""


def used_features(
    spec: LoraSpec,
    match: Match | None = None,
    inventory: Inventory | None = None,
    stored: Iterable[StoredTensor] | None = None,
    singles: Collection[str] = (),
) -> Mapping[Feature, Used]:
    """Return the features that a configuration, and what it adapts, make use of.

    Args:
        spec: As PEFT gets it.
        match: What PEFT makes of it; None if that is not known.
        inventory: Of the base model; None if it is not known.
        stored: Tensors of the trained adapter; None if there are none to read.
        singles: Stacked expert parameters that do not count as such, since the adapter has them
            expert by expert.
    """
    found = dict(_of_configuration(spec))
    if Feature.BIAS in found and not _trains_biases(match, stored):
        found[Feature.BIAS] = replace(
            found[Feature.BIAS],
            instead="Set bias to none: this model has none to train, so that nothing is lost.",
            is_idle=True,
        )
    if match is not None and inventory is not None:
        found.update(_of_targets(match, inventory, singles))
        saved = tuple(each.path for each in match.saved)
        if saved and Feature.MODULES_TO_SAVE not in found:
            found[Feature.MODULES_TO_SAVE] = _saved(saved, saved)
    return found


def adapted(match: Match, inventory: Inventory) -> tuple[tuple[MatchedTarget, Module], ...]:
    """Pair what is adapted with its row, or that of the module that holds the parameter."""
    found = []
    for target in match.targets:
        row = inventory.by_path.get(target.path)
        row = row or inventory.by_path.get(target.path.rpartition(".")[0])
        if row is not None:
            found.append((target, row))
    return tuple(found)


def named(names: Iterable[str]) -> str:
    """Put commas between names, each once; more than a few are counted."""
    every = list(dict.fromkeys(names))
    more = len(every) - _MOST_NAMES
    return ", ".join(every[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def last_names(paths: Iterable[str]) -> str:
    """Name the ends of paths, each once."""
    return named(path.rpartition(".")[2] for path in paths)


def _saved(names: tuple[str, ...], paths: tuple[str, ...] = ()) -> Used:
    return Used(
        named(names),
        f"Modules saved whole ({named(names)})",
        Where.MODULES_TO_SAVE,
        f"Leave it out and adapt it by LoRA, or {MERGE}.",
        paths,
        tuple(name.rpartition(".")[2] for name in names),
    )


def _trains_biases(match: Match | None, stored: Iterable[StoredTensor] | None) -> bool:
    """Whether `bias` makes a difference: a model may have no biases. True where that is open."""
    if match is None or match.refused is not None or match.bias_params:
        return True
    names = (tensor.name for tensor in stored or ())
    return any(name.endswith(".bias") and "lora_" not in name for name in names)


def _of_configuration(spec: LoraSpec) -> dict[Feature, Used]:
    found: dict[Feature, Used] = {}
    if spec.use_dora:
        found[Feature.DORA] = Used(
            "true", "DoRA", "use_dora", f"Train without use_dora, or {MERGE}."
        )
    if spec.modules_to_save:
        found[Feature.MODULES_TO_SAVE] = _saved(spec.modules_to_save)
    if spec.bias != "none":
        found[Feature.BIAS] = Used(
            spec.bias, "Trained biases of the base model", "bias", "Set bias to none."
        )
    if spec.lora_bias:
        found[Feature.LORA_BIAS] = Used(
            "true", "A bias in the adapter", "lora_bias", "Set lora_bias to false."
        )
    if spec.trainable_token_indices:
        found[Feature.TRAINABLE_TOKENS] = Used(
            str(spec.trainable_token_indices),
            "Trained rows of the embedding",
            "trainable_token_indices",
            f"To serve them, {MERGE}.",
        )
    found.update(_of_base(spec))
    targets = spec.target_modules
    if isinstance(targets, str) and targets.lower() != SHORTHAND:
        found[Feature.REGEX_TARGETS] = Used(
            targets,
            "A regular expression as target_modules",
            Where.TARGET_MODULES,
            "List the names of the modules.",
        )
    found.update(_of_ranks(spec))
    return found


def _of_base(spec: LoraSpec) -> Iterator[tuple[Feature, Used]]:
    init = spec.init_lora_weights
    if isinstance(init, str) and init.lower().startswith(_CHANGED_BASE):
        yield (
            Feature.CHANGED_BASE,
            Used(
                init,
                f"A base model changed by {init}",
                "init_lora_weights",
                "Save it as plain LoRA, with path_initial_model_for_weight_conversion.",
            ),
        )
    if spec.layer_replication:
        yield (
            Feature.LAYER_REPLICATION,
            Used(
                str(spec.layer_replication),
                "Repeated layers",
                "layer_replication",
                f"To serve them, {MERGE}.",
            ),
        )


def _of_ranks(spec: LoraSpec) -> Iterator[tuple[Feature, Used]]:
    others = [key for key, rank in spec.rank_pattern.items() if rank != spec.r]
    if others:
        yield (
            Feature.PATTERNS,
            Used(
                others[0],
                f"A rank_pattern with other values than the global {spec.r}",
                Where.RANK_PATTERN,
                "Train with one rank, or pad the smaller matrices with zeros.",
            ),
        )


def _of_targets(
    match: Match, inventory: Inventory, singles: Collection[str]
) -> Iterator[tuple[Feature, Used]]:
    rows = adapted(match, inventory)
    # A linear's weight, reached as a parameter, is stored as the linear's own LoRA is.
    stacked = tuple(
        target.path
        for target, row in rows
        if target.is_parameter and row.kind is Kind.EXPERT_PARAMETER and target.path not in singles
    )
    if stacked:
        yield (
            Feature.EXPERT_PARAMETERS,
            Used(
                last_names(stacked),
                f"LoRA on {len(stacked)} stacked expert parameters",
                Where.TARGET_PARAMETERS,
                f"Leave the experts out, or {MERGE}.",
                stacked,
            ),
        )
    seeing = tuple(target.path for target, row in rows if row.tower in PERCEPTION)
    if seeing:
        yield (
            Feature.PERCEPTION_TOWER,
            Used(
                last_names(seeing),
                f"LoRA on {len(seeing)} modules of vision, audio or projector",
                Where.TARGET_MODULES,
                "Exclude these towers.",
                seeing,
            ),
        )
    head = inventory.model.output_embedding
    row = None if head is None else inventory.by_path.get(head)
    if row is not None and row.tied_to is not None and any(t.path == head for t, _ in rows):
        yield (
            Feature.TIED_HEAD,
            Used(
                row.path,
                f"LoRA on {row.path}, which shares its weight with the embedding",
                Where.TARGET_MODULES,
                "Leave it out.",
                (row.path,),
            ),
        )
    uneven = _uneven(match, inventory)
    if uneven:
        yield Feature.UNEVEN_LAYERS, uneven


def _uneven(match: Match, inventory: Inventory) -> Used | None:
    """Find names that are adapted in some layers of the main towers and not in all."""
    main = inventory.model.main_towers
    rows = (each for each in inventory.modules if each.alias_of is None and each.tower in main)
    layers = {(each.tower, each.layer) for each in rows if each.layer is not None}
    found: dict[str, set[tuple[object, int | None]]] = {}
    for target, row in adapted(match, inventory):
        if row.tower in main and row.layer is not None and not target.is_parameter:
            found.setdefault(row.name, set()).add((row.tower, row.layer))
    uneven = [name for name, where in found.items() if len(where) < len(layers)]
    if not uneven:
        return None
    return Used(
        named(uneven),
        f"LoRA on {named(uneven)} in some of the {len(layers)} layers",
        Where.TARGET_MODULES,
        f"Adapt all layers, or {MERGE}.",
        tuple(target.path for target, row in adapted(match, inventory) if row.name in uneven),
    )
