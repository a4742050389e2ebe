"""What of an adapter cannot be carried over to an engine, and what is left out on request."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lorascope.checking.stored_fit import PREFIX
from lorascope.checking.subject import Subject
from lorascope.core.adaptation import Change, Step
from lorascope.core.errors import AdapterError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.rewriting.pairs import Content, Extra, Pair
from lorascope.rewriting.written_config import reaching_config
from lorascope.serving.adapter_forms import AdapterForm, Experts
from lorascope.serving.engines import Engine, Feature
from lorascope.serving.features import named, used_features
from lorascope.serving.support import support_of
from lorascope.serving.troubles import Severity, Trouble, limits

DROPPABLE = (
    Feature.DORA,
    Feature.MODULES_TO_SAVE,
    Feature.BIAS,
    Feature.LORA_BIAS,
    Feature.TRAINABLE_TOKENS,
    Feature.TIED_HEAD,
    Feature.EXPERT_PARAMETERS,
    Feature.PERCEPTION_TOWER,
    Feature.UNKNOWN_NAME,
)
"""What `--drop` takes."""
_BY_MODULE = frozenset(
    {
        Feature.TIED_HEAD,
        Feature.EXPERT_PARAMETERS,
        Feature.PERCEPTION_TOWER,
        Feature.UNKNOWN_NAME,
    }
)
"""Those that are dropped with the pairs of some modules."""
_REWRITTEN = frozenset(
    {Feature.PATTERNS, Feature.REGEX_TARGETS, Feature.UNEVEN_LAYERS, Feature.RANK}
)
"""What the rewriting takes care of itself, or refuses itself."""
_DOES = {"leaves out": "leaves it out without an error"}
"""How a trouble's words stand in a sentence, where they need more than "it" after them."""
_EMBEDDINGS = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")
"""Ends of names that vLLM passes over. Source: vllm 0.33.0, `is_base_embedding_weights` in
`lora/utils.py`."""
_MERGE = "merge the adapter into the model (merge_and_unload) and serve that"
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Starts of `init_lora_weights` that change the base model's own weights as training starts.

Source: peft 0.21.2, `pissa_init`, `olora_init`, `corda_init`, `loftq_init` and `lora_ga_init` in
`tuners/lora/layer.py`."""


@dataclass(frozen=True)
class Judged:
    """What an engine makes of an adapter's features."""

    notes: tuple[str, ...]
    """What has to be set at the engine, one sentence each."""
    dropped: Mapping[Feature, frozenset[str]]
    """What is to be left out, with the modules concerned."""


def judge(
    subject: Subject,
    content: Content,
    stated: Mapping[str, Any],
    model: Inventory,
    engine: Engine,
    form: AdapterForm,
    drop: Collection[Feature],
    rewritten: Collection[str] = (),
) -> Judged:
    """Refuse what the engine would refuse or leave out, unless it is to be dropped.

    Args:
        subject: The adapter as trained.
        content: What it holds, named as `model` is.
        stated: Its configuration.
        model: The model that is served.
        engine: Which engine.
        form: What that engine wants.
        drop: What may be left out.
        rewritten: Last names that are written under others.

    Raises:
        AdapterError: Something cannot be carried over; all of it is named.
    """
    spec, found_match, inventory = subject.spec, subject.match, subject.model
    config = reaching_config(stated, content, model)
    if config is not None:
        try:
            spec = LoraSpec.from_dict(config)
            found_match, inventory = match(model, spec), model
        except SpecificationError:
            spec = subject.spec
    used = used_features(spec, found_match, inventory)
    experts = form.experts_of(support_of(engine, model).model_class)
    names = {*rewritten, *(name for group in form.together for name in group.any)}
    found = [
        each
        for each in limits(engine, spec, found_match, inventory)
        if not _is_rewritten(each, names, experts)
    ]
    lost = [each for each in found if each.severity.is_hard]
    others, base = _unasked(content, used, engine)
    lost += others
    paths = {feature: frozenset(each.paths) for feature, each in used.items()}
    paths |= {feature: base[feature] for feature in base if feature not in paths}
    for each in found:
        paths[each.feature] = paths.get(each.feature, frozenset()) | frozenset(each.paths)
    _check_drop(drop, paths)
    _refuse(engine, [each for each in lost if each.feature not in drop], subject.spec)
    notes = tuple(
        f"{each.what}: {each.instead}"
        for each in found
        if each.severity is Severity.OPTION and each.feature not in drop
    )
    notes += _of_embeddings(content, engine)
    return Judged(notes, {feature: paths[feature] for feature in drop})


def _unasked(
    content: Content, used: Collection[Feature], engine: Engine
) -> tuple[list[Trouble], dict[Feature, frozenset[str]]]:
    """Return what is in the way of tensors that the configuration does not ask for, and what."""
    found: dict[Feature, list[str]] = {}
    for extra in content.extras:
        feature = extra_feature(extra)
        if feature is not None and (feature not in used or not _is_asked(extra, feature)):
            found.setdefault(feature, []).append(extra.name.removeprefix(PREFIX))
    troubles = []
    for feature, names in found.items():
        refuses = feature in engine.refuses
        if refuses or feature in engine.ignores:
            troubles.append(
                Trouble(
                    engine,
                    feature,
                    Severity.REFUSED if refuses else Severity.CHANGED,
                    f"A part of the base model in the adapter's file ({named(names)})",
                    "refuses" if refuses else "leaves out",
                    f"Take them out of the file if they were not trained, or {_MERGE}.",
                )
            )
    return troubles, {feature: frozenset(names) for feature, names in found.items()}


def _is_asked(extra: Extra, feature: Feature) -> bool:
    return extra.is_saved or feature is not Feature.MODULES_TO_SAVE


def _of_embeddings(content: Content, engine: Engine) -> tuple[str, ...]:
    names = [each.name for each in content.extras if extra_feature(each) is None]
    if not names or Feature.MODULES_TO_SAVE not in engine.refuses | engine.ignores:
        return ()
    return (
        f"{named(name.removeprefix(PREFIX) for name in names)}: PEFT saves the weight of an "
        f"adapted embedding as it is, and {engine.title} takes that of the base model.",
    )


def without(content: Content, dropped: Mapping[Feature, frozenset[str]]) -> Content:
    """Leave features out.

    Raises:
        AdapterError: Nothing is left.
    """
    for feature, paths in dropped.items():
        pairs: Iterable[Pair] = content.pairs
        if feature in _BY_MODULE:
            pairs = (pair for pair in pairs if pair.path not in paths)
        elif feature is Feature.LORA_BIAS:
            pairs = map(_without_bias, pairs)
        extras = (each for each in content.extras if extra_feature(each) is not feature)
        content = Content(tuple(pairs), tuple(extras))
    if not content.pairs:
        raise AdapterError("Nothing of the adapter is left when that is dropped.")
    return content


def drop_changes(before: Content, dropped: Mapping[Feature, frozenset[str]]) -> Iterator[Change]:
    """Say what `without` leaves out."""
    for feature, paths in dropped.items():
        pairs = [pair for pair in before.pairs if feature in _BY_MODULE and pair.path in paths]
        names = [extra.name for extra in before.extras if extra_feature(extra) is feature]
        if feature is Feature.LORA_BIAS:
            parts = (part for pair in before.pairs for part in pair.parts)
            names = [part.factors.bias.name for part in parts if part.factors.bias]
        what = counted(2 * len(pairs) + len(names), "tensor")
        text = (
            f"{feature.value} left out as asked, with {what}: the answers are others than before."
        )
        yield Change(Step.DROPPED, text, (*(pair.path for pair in pairs), *names))


def fields_without(drop: Collection[Feature]) -> Mapping[str, object]:
    """Return the fields of the configuration that asked for what is dropped, as they are then."""
    fields: dict[Feature, dict[str, object]] = {
        Feature.DORA: {"use_dora": False},
        Feature.MODULES_TO_SAVE: {"modules_to_save": None},
        Feature.BIAS: {"bias": "none"},
        Feature.LORA_BIAS: {"lora_bias": False},
        Feature.TRAINABLE_TOKENS: {"trainable_token_indices": None},
    }
    return {key: value for feature in drop for key, value in fields.get(feature, {}).items()}


def extra_feature(extra: Extra) -> Feature | None:
    """Return what a tensor that is no low-rank factor belongs to.

    None for the weight of an adapted embedding, which PEFT saves beside its factors as it is.
    Other weights of the base model that nobody asks for count as modules that are saved whole:
    PEFT loads them over the base model's.
    """
    if "lora_magnitude_vector" in extra.name:
        return Feature.DORA
    if "trainable_tokens_" in extra.name:
        return Feature.TRAINABLE_TOKENS
    if extra.is_saved:
        return Feature.MODULES_TO_SAVE
    if extra.name.endswith(_EMBEDDINGS):
        return None
    last = extra.name.rpartition(".")[2]
    return Feature.BIAS if "bias" in last else Feature.MODULES_TO_SAVE


def _is_rewritten(trouble: Trouble, names: Collection[str], experts: Experts) -> bool:
    if trouble.feature in _REWRITTEN:
        return True
    if trouble.feature is Feature.EXPERT_PARAMETERS:
        return experts is not Experts.NONE
    if trouble.feature is Feature.UNKNOWN_NAME and trouble.paths:
        return all(path.rpartition(".")[2] in names for path in trouble.paths)
    return False


def _check_drop(drop: Collection[Feature], paths: Mapping[Feature, frozenset[str]]) -> None:
    unused = [feature.value for feature in drop if feature not in paths]
    if unused:
        there = [each.value for each in DROPPABLE if each in paths]
        raise AdapterError(
            f"The adapter has nothing of {', '.join(unused)} that could be dropped.",
            f"It has {', '.join(there)}." if there else None,
        )


def _refuse(engine: Engine, lost: Iterable[Trouble], spec: LoraSpec) -> None:
    problems = [*_of_base(spec)]
    names = []
    for each in lost:
        if problems and each.feature in (Feature.CHANGED_BASE, Feature.LAYER_REPLICATION):
            continue
        why = f", since {each.why}" if each.why else ""
        does = _DOES.get(each.does, f"{each.does} it")
        problems.append(f"{each.what}: {engine.title} {does}{why}.")
        if each.feature in DROPPABLE:
            names.append(each.feature.value)
    if problems:
        anyway = "".join(f" --drop {name}" for name in dict.fromkeys(names))
        raise AdapterError(
            f"Not all of this adapter can be carried over to {engine.title} {engine.version}: "
            f"{' '.join(problems)}",
            f"To serve all of it, {_MERGE}."
            + (f" To leave that out, with other answers, add{anyway}." if names else ""),
        )


def _of_base(spec: LoraSpec) -> Iterator[str]:
    init = spec.init_lora_weights
    if isinstance(init, str) and init.lower().startswith(_CHANGED_BASE):
        yield (
            f"init_lora_weights is {init}, which changed the base model's weights when training "
            "started; save it with path_initial_model_for_weight_conversion to get plain LoRA."
        )
    if spec.layer_replication:
        yield "layer_replication repeats layers, which no engine does."


def _without_bias(pair: Pair) -> Pair:
    experts = tuple(
        tuple(replace(part, factors=replace(part.factors, bias=None)) for part in expert)
        for expert in pair.experts
    )
    return replace(pair, experts=experts)
