"""Which features, that some engine lacks, a configuration makes use of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.roles import PERCEPTION
from lorascope.core.spec import LoraSpec
from lorascope.matching import Where
from lorascope.matching.all_linear import SHORTHAND
from lorascope.serving.engines import Feature


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


_MERGE = "merge the adapter into the model (merge_and_unload) and serve that"


def used_features(subject: Subject) -> Mapping[Feature, Used]:
    """Return the features that the configuration, and what it adapts, make use of."""
    spec = subject.spec
    found = dict(_of_configuration(spec))
    if subject.match is not None:
        found.update(_of_targets(subject))
        saved = subject.match.saved
        if saved and Feature.MODULES_TO_SAVE not in found:
            paths = tuple(each.path for each in saved)
            found[Feature.MODULES_TO_SAVE] = _saved(listed(paths), paths)
    return found


def _saved(names: str, paths: tuple[str, ...] = ()) -> Used:
    instead = f"Leave it out and adapt it by LoRA, or {_MERGE}."
    what = f"Modules saved whole ({names})"
    return Used(names, what, Where.MODULES_TO_SAVE, instead, paths)


def _of_configuration(spec: LoraSpec) -> dict[Feature, Used]:
    found: dict[Feature, Used] = {}
    if spec.use_dora:
        found[Feature.DORA] = Used(
            "true", "DoRA", "use_dora", f"Train without use_dora, or {_MERGE}."
        )
    if spec.modules_to_save:
        found[Feature.MODULES_TO_SAVE] = _saved(listed(spec.modules_to_save))
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
            f"To serve them, {_MERGE}.",
        )
    targets = spec.target_modules
    if isinstance(targets, str) and targets.lower() != SHORTHAND:
        found[Feature.REGEX_TARGETS] = Used(
            targets,
            "A regular expression as target_modules",
            Where.TARGET_MODULES,
            "List the names of the modules.",
        )
    found.update(_of_patterns(spec))
    return found


def _of_patterns(spec: LoraSpec) -> dict[Feature, Used]:
    for where, pattern, value in (
        (Where.RANK_PATTERN, spec.rank_pattern, spec.r),
        (Where.ALPHA_PATTERN, spec.alpha_pattern, spec.lora_alpha),
    ):
        others = [key for key, each in pattern.items() if each != value]
        if others:
            used = Used(
                others[0],
                f"A {where.value} with other values than the global {value:g}",
                where,
                "Train with one rank and one alpha, or pad the smaller matrices with zeros.",
            )
            return {Feature.PATTERNS: used}
    return {}


def _of_targets(subject: Subject) -> dict[Feature, Used]:
    found: dict[Feature, Used] = {}
    stacked = tuple(target.path for target in subject.targets if target.is_parameter)
    if stacked:
        found[Feature.EXPERT_PARAMETERS] = Used(
            listed(dict.fromkeys(path.rpartition(".")[2] for path in stacked)),
            f"LoRA on {len(stacked)} stacked expert parameters",
            Where.TARGET_PARAMETERS,
            f"Leave the experts out, or {_MERGE}.",
            stacked,
        )
    seeing = tuple(t.path for t, module in subject.adapted if module.tower in PERCEPTION)
    if seeing:
        found[Feature.PERCEPTION_TOWER] = Used(
            listed(dict.fromkeys(path.rpartition(".")[2] for path in seeing)),
            f"LoRA on {len(seeing)} modules of vision, audio or projector",
            Where.TARGET_MODULES,
            "Exclude these towers.",
            seeing,
        )
    head = subject.model.model.output_embedding
    if head in subject.adapted_paths and _is_tied(subject, head):
        found[Feature.TIED_HEAD] = Used(
            head,
            f"LoRA on {head}, which shares its weight with the embedding",
            Where.TARGET_MODULES,
            "Leave it out.",
            (head,),
        )
    uneven = _uneven(subject)
    if uneven:
        found[Feature.UNEVEN_LAYERS] = uneven
    return found


def _is_tied(subject: Subject, head: str) -> bool:
    module = subject.model.by_path.get(head)
    return module is not None and module.tied_to is not None


def _uneven(subject: Subject) -> Used | None:
    """Find names that are adapted in some layers of the main towers and not in all."""
    main = subject.model.model.main_towers
    layers = {(m.tower, m.layer) for m in subject.modules.values() if m.tower in main}
    layers = {each for each in layers if each[1] is not None}
    adapted: dict[str, set[tuple[object, int | None]]] = {}
    for target, module in subject.adapted:
        if module.tower in main and module.layer is not None and not target.is_parameter:
            adapted.setdefault(module.name, set()).add((module.tower, module.layer))
    uneven = [name for name, where in adapted.items() if len(where) < len(layers)]
    if not uneven:
        return None
    return Used(
        listed(uneven),
        f"LoRA on {listed(uneven)} in some of the {len(layers)} layers",
        Where.TARGET_MODULES,
        f"Adapt all layers, or {_MERGE}.",
    )
