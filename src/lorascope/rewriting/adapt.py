"""Rewrite a trained adapter for one engine: every shape is known before a number is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.checking.subject import Subject
from lorascope.core.adaptation import Adaptation, Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.roles import Kind
from lorascope.core.stored import StoredTensor
from lorascope.rewriting.by_module import linears_by_module
from lorascope.rewriting.experts import single_experts, to_single, to_stacked
from lorascope.rewriting.features import (
    drop_changes,
    extra_feature,
    fields_without,
    judge,
    without,
)
from lorascope.rewriting.filled import filled
from lorascope.rewriting.fused import Fusion, pack, split, splits_for
from lorascope.rewriting.pairs import Content
from lorascope.rewriting.served_names import renamed
from lorascope.rewriting.trained import trained_content
from lorascope.rewriting.uniform import (
    Uniform,
    adapted_pairs,
    scaled_changes,
    uniform_changes,
    uniform_of,
)
from lorascope.rewriting.written_config import written_config
from lorascope.serving.adapter_forms import AdapterForm, Experts, adapter_forms
from lorascope.serving.engines import Engine, Feature, engines
from lorascope.serving.support import Support, support_of

if TYPE_CHECKING:
    from lorascope.rewriting.computed import Computation


@dataclass(frozen=True, slots=True)
class AdaptRequest:
    """What an adapter is to be rewritten for."""

    engine: str
    """Name of a serving engine, see `lorascope.serving.engines`."""
    rank: int | None = None
    """Rank of all pairs; None for the smallest that will do."""
    split: tuple[Fusion, ...] = ()
    pack: tuple[Fusion, ...] = ()
    experts: Experts | None = None
    """How routed experts are stored; None for what the engine wants."""
    drop: tuple[Feature, ...] = ()
    """What may be left out."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A rewritten adapter without its numbers."""

    content: Content
    uniform: Uniform
    header: tuple[StoredTensor, ...]
    adaptation: Adaptation


def rewriting_of(
    subject: Subject,
    stated: Mapping[str, Any],
    base_model: str,
    request: AdaptRequest,
    served: Inventory | None = None,
) -> Rewriting:
    """Work out what is to be written.

    Args:
        subject: The trained adapter on its base model; PEFT does not refuse it.
        stated: Its configuration as the file has it.
        base_model: Name of the base model.
        request: What it is for.
        served: The model that is served; None for the base model.

    Raises:
        AdapterError: Its tensors are others than its configuration says, or something of it cannot
            be carried over to the engine.
    """
    from lorascope.rewriting.computed import bytes_of, written_tensors  # these need torch

    engine, form = engines()[request.engine], adapter_forms()[request.engine]
    model = served or subject.model
    content = trained_content(subject)
    was_single = single_experts(content)
    changes: list[Change] = []
    if served is not None:
        content, change = renamed(content, subject.model, served)
        changes += [] if change is None else [change]
    content, change = linears_by_module(content, stated, model, engine)
    changes += [] if change is None else [change]
    splits = (*splits_for(content, support_of(engine, model), model), *request.split)
    request = replace(request, split=tuple(dict.fromkeys(splits)))
    names = [each.name for each in request.split]
    names += [part for each in request.pack for part in each.parts]
    judged = judge(subject, content, stated, model, engine, form, request.drop, names)
    changes += drop_changes(content, judged.dropped)
    content = without(content, judged.dropped)
    content, others = _rewritten(content, model, engine, form, request, was_single)
    changes += others
    _check_extras(content)
    notes = list(judged.notes)
    uniform = uniform_of(content, engine, form, request.rank)
    _check_groups(content, uniform, model)
    pairs = tuple(adapted_pairs(content, uniform))
    changes += uniform_changes(pairs, content, uniform)
    if served is not None:
        stated = {**stated, "base_model_name_or_path": served.model.reference, "revision": None}
    config, note = written_config(stated, content, uniform, model, fields_without(request.drop))
    changes += _config_changes(stated, config)
    notes += [] if note is None else [note]
    notes += _rank_notes(engine, uniform, request.rank)
    header = tuple(written_tensors(content, uniform.rank))
    stored = subject.stored or ()
    adaptation = Adaptation(
        origin=subject.recipe.origin,
        engine=request.engine,
        title=engine.title,
        version=engine.version,
        base_model=base_model,
        served_model=base_model if served is None else served.model.reference,
        adapter_config=config,
        rank=uniform.rank,
        alpha=uniform.alpha,
        pairs=pairs,
        changes=tuple(changes),
        tensors_before=len(stored),
        tensors=len(header),
        bytes_before=sum(map(bytes_of, stored)),
        bytes=sum(map(bytes_of, header)),
        notes=tuple(notes),
    )
    return Rewriting(content, uniform, header, adaptation)


def write_rewriting(
    rewriting: Rewriting, tensors: Path, directory: Path, *, force: bool
) -> Adaptation:
    """Compute the numbers and write the adapter.

    Args:
        rewriting: What is to be written.
        tensors: The trained adapter's safetensors file.
        directory: Where to.
        force: Replace an adapter that is there already.

    Raises:
        AdapterError: The numbers cannot be read, or do not fit their type once scaled.
        OutputError: The directory exists, or cannot be written.
    """
    from lorascope.rewriting.computed import Computation
    from lorascope.rewriting.written_files import StoredNumbers, check_output, write_adapter

    check_output(directory, force=force)
    numbers = StoredNumbers(tensors)
    computation = Computation(rewriting.uniform, numbers)
    write_adapter(
        directory,
        rewriting.adaptation.adapter_config,
        rewriting.header,
        computation.tensors(rewriting.content),
        numbers.metadata(),
        force=force,
    )
    return replace(_as_computed(rewriting, computation), directory=str(directory))


def _rewritten(
    content: Content,
    model: Inventory,
    engine: Engine,
    form: AdapterForm,
    request: AdaptRequest,
    was_single: tuple[str, ...],
) -> tuple[Content, list[Change]]:
    """Take all steps that move factors, one after the other."""
    support = support_of(engine, model)
    changes: list[Change | None] = []
    _check_names(request, support)
    for step, fusions in ((split, request.split), (pack, request.pack)):
        for fusion in fusions:
            content, moved = step(content, fusion, model)
            changes.append(moved)
    content, change = filled(content, form, model, engine.title)
    changes.append(change)
    if (request.experts or form.experts_of(support.model_class)) is Experts.SINGLE:
        content, change = to_single(content, model)
        changes.append(None if was_single else change)
        _check_holders(content, support)
    else:
        content, change = to_stacked(content, model)
        changes.append(change)
        if was_single:
            text = f"Single experts stacked into {len(was_single)} expert parameters."
            changes.append(Change(Step.EXPERTS, text, was_single))
    return content, [change for change in changes if change is not None]


def _check_names(request: AdaptRequest, support: Support) -> None:
    """Refuse names that a user asks for and the engine's class of the model does not have."""
    asked = [name for fusion in request.split for name in fusion.parts]
    asked += [fusion.name for fusion in request.pack]
    known = support.names
    lacking = [name for name in asked if known is not None and name not in known]
    if lacking:
        raise AdapterError(
            f"{support.engine.title} {support.engine.version} adapts no {', '.join(lacking)} in "
            f"{support.architecture}.",
            f"It has {', '.join(sorted(known or ()))}.",
        )


def _check_holders(content: Content, support: Support) -> None:
    """Refuse experts in a module that the engine's class has under another name."""
    known = frozenset() if support.model_class is None else support.model_class.around_experts
    for pair in content.pairs:
        holder, found, _ = pair.path.rpartition(".experts.")
        if found and pair.adapts and known and holder.rpartition(".")[2] not in known:
            raise AdapterError(
                f"{support.engine.title} {support.engine.version} has the experts of "
                f"{support.architecture} in {', '.join(sorted(known))}, and the adapter's are in "
                f"{holder.rpartition('.')[2]}: it would leave them out.",
                "Merge the adapter into the model (merge_and_unload) and serve that, or leave the "
                "experts out with --drop expert_parameters.",
            )


def _check_extras(content: Content) -> None:
    """Refuse what belongs to a module that is not written as it was."""
    whole = {pair.stem for pair in content.pairs if pair.whole is not None}
    for pair in content.pairs:
        if pair.stem not in whole and any(part.factors.bias for part in pair.parts):
            raise AdapterError(
                f"{pair.path} has a bias of its own (lora_bias), which cannot be split or packed.",
                "Leave out --split and --pack, or the bias with --drop lora_bias.",
            )
    for extra in content.extras:
        stem = extra.name.partition(".lora_magnitude_vector")[0]
        if extra_feature(extra) is Feature.DORA and stem not in whole:
            raise AdapterError(
                f"{stem} has a magnitude (DoRA), which cannot be split or packed.",
                "Leave out --split and --pack, or merge the adapter into the model.",
            )


def _check_groups(content: Content, uniform: Uniform, model: Inventory) -> None:
    """Refuse to pad a convolution whose rank is dealt out to groups."""
    for pair in content.pairs:
        module = model.by_path.get(pair.path)
        if module is None or module.kind is not Kind.CONVOLUTION or module.groups == 1:
            continue
        raise AdapterError(
            f"{pair.path} is a convolution in {module.groups} groups, whose factors cannot be "
            f"given another rank or scale (here rank {uniform.rank}).",
            "Merge the adapter into the model (merge_and_unload) and serve that.",
        )


def _config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    empty: tuple[object, ...] = (None, {}, [], False, "")
    changed = [
        key
        for key in ("use_rslora", "rank_pattern", "alpha_pattern", "exclude_modules")
        if before.get(key) not in empty and after.get(key) in empty
    ]
    changed += [key for key in ("layers_to_transform", "layers_pattern") if before.get(key)]
    if isinstance(before.get("target_modules"), str):
        changed.append("target_modules")
    texts = []
    if changed:
        pattern = " as a pattern" if "target_modules" in changed else ""
        texts.append(f"Said without {', '.join(changed)}{pattern}.")
    if not before.get("peft_type"):
        texts.append(f"peft_type, which was not given, is {after['peft_type']}.")
    return [Change(Step.CONFIGURED, text) for text in texts]


def _rank_notes(engine: Engine, uniform: Uniform, asked: int | None) -> Iterator[str]:
    if asked is not None and asked != uniform.rank:
        yield (
            f"Rank {uniform.rank} and not {asked}, since {engine.title} pads {asked} to that and "
            "scales by what it padded to."
        )
    if engine.ranks and uniform.rank > engine.usual_rank:
        enough = next(rank for rank in engine.ranks if rank >= uniform.rank)
        yield f"Start {engine.title} with {engine.rank_option} {enough}."


def _as_computed(rewriting: Rewriting, computation: Computation) -> Adaptation:
    """Return what was done, with what the numbers say of rounding."""
    planned = rewriting.adaptation
    pairs = tuple(
        replace(pair, exact=content.names[1] not in computation.rounded)
        for pair, content in zip(planned.pairs, rewriting.content.pairs, strict=True)
    )
    steps = [change.step for change in planned.changes]
    changes = [change for change in planned.changes if change.step is not Step.SCALED]
    if Step.SCALED in steps:
        place = steps.index(Step.SCALED)
        changes[place:place] = scaled_changes(pairs, "which rounds nothing")
    notes = planned.notes
    if computation.vanished:
        count = counted(computation.vanished, "number")
        notes = (*notes, f"{count} too small for the stored type became 0.")
    return replace(
        planned,
        pairs=pairs,
        changes=tuple(changes),
        rounding=computation.rounding,
        notes=notes,
    )
