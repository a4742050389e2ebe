"""What PEFT's injection of a LoRA configuration does to a model, from its inventory alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory, ModelInfo, Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.adapting import (
    Adapted,
    adapt_modules,
    adapt_parameters,
    fan_in_fan_out_after,
)
from lorascope.matching.all_linear import all_linear_names, is_all_linear
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.counts import module_tensors, total
from lorascope.matching.entries import explain
from lorascope.matching.expert_rewrite import Rewrite, rewritten
from lorascope.matching.limits import check_configuration, check_something_matched
from lorascope.matching.minimal_suffixes import shortened
from lorascope.matching.names import EntryList, visited_modules
from lorascope.matching.peft_defaults import default_targets
from lorascope.matching.result import Match, Reason
from lorascope.matching.selection import Selection, select
from lorascope.matching.task_heads import late_heads, with_early_heads
from lorascope.matching.trainable import count_trainable
from lorascope.matching.tying import tied_targets
from lorascope.matching.versions import NEWEST, behaviour_of
from lorascope.matching.warn import warnings_for

_DUMMY = "dummy-target-modules"
"""Targets nothing, without an error. Source: peft 0.21.2, `utils/constants.py`."""


def match(inventory: Inventory, spec: LoraSpec, *, peft_version: str = NEWEST) -> Match:
    """Return which modules and parameters PEFT adapts, at which rank and scale, and why.

    The steps and their order are those of PEFT's `inject_adapter` (`tuners/tuners_utils.py`),
    for the adapter name `default` and `get_peft_model`.

    Args:
        inventory: Of the bare base model.
        spec: The configuration, as the user wrote it.
        peft_version: Whose behaviour to follow.

    Raises:
        SpecificationError: PEFT would raise here too, or lorascope does not model what is asked.
    """
    behaviour = behaviour_of(peft_version)
    check_configuration(spec, behaviour)
    regex = BoundedRegex()
    model, modules = inventory.model, visited_modules(inventory)
    rewrite = rewritten(with_early_heads(spec), model, modules, regex, behaviour)
    tying = tied_targets(rewrite.spec, model, regex)
    with_default = _with_default(tying.spec, model)
    effective = _spelled_out(with_default, model, modules)
    dummy = effective.target_modules == _DUMMY
    names = () if dummy else tuple(path for path in modules if path)
    selection = select(names, effective, regex, behaviour)
    to_tie = tuple(EntryList(tying.targets).named(names))
    chosen = _chosen(selection, to_tie, spec, with_default, rewrite)
    adapted = adapt_modules(modules, chosen, effective, model, regex)
    parameters = adapt_parameters(
        modules, _parameter_entries(spec, effective, rewrite), adapted, effective, model, regex
    )
    tied = _adapt_tied(modules, to_tie, tying.targets, adapted, effective, model, regex)
    if not dummy:
        excluded = [path for path in selection.excluded if path not in to_tie]
        check_something_matched(
            effective,
            adapted=bool(adapted or parameters or tied),
            excluded=excluded,
            unmatched=len(names) > len(excluded) + len(chosen) + len(to_tie),
        )
    everything = [*adapted, *parameters, *tied]
    warned = warnings_for(
        effective, modules, [*adapted, *tied], parameters, selection, regex, behaviour
    )
    trainable = count_trainable(inventory, everything, effective, tying.saved, behaviour)
    targets = tuple(each.target for each in everything)
    effective = _as_left_by_peft(effective, modules, adapted)
    return Match(
        spec=spec,
        effective=effective,
        targets=targets,
        saved=trainable.saved,
        trained_tokens=trainable.tokens,
        entries=explain(spec, effective, rewrite, selection, targets, trainable.saved, regex),
        excluded=_taken_out(selection),
        trainable_params=trainable.params,
        bias_params=trainable.bias_params,
        warnings=(*tying.warnings, *warned, *trainable.warnings),
        peft_version=peft_version,
    )


def _with_default(spec: LoraSpec, model: ModelInfo) -> LoraSpec:
    """Fill in PEFT's default targets if none are given.

    Source: peft 0.21.2, `_prepare_adapter_config` in `tuners/lora/model.py`.
    """
    if spec.target_modules is not None:
        return spec
    default = default_targets(model.model_type)
    if default is not None:
        return replace(spec, target_modules=default if isinstance(default, str) else tuple(default))
    if not spec.target_parameters:
        raise SpecificationError(
            "Neither target_modules nor target_parameters is given, and PEFT has no default for "
            f"model type {model.model_type!r} (or is not installed): 'Please specify "
            "`target_modules` or `target_parameters` in `peft_config`'.",
            "Name the modules, or take a preset of 'lorascope plan'.",
        )
    return spec


def _spelled_out(spec: LoraSpec, model: ModelInfo, modules: Mapping[str, Module]) -> LoraSpec:
    """Replace `all-linear` by names, and a long list by the suffixes PEFT shortens it to."""
    if is_all_linear(spec):
        spec = replace(spec, target_modules=all_linear_names(modules, model, spec.task_type))
    targets = spec.target_modules
    if targets is None or isinstance(targets, str):
        return spec
    entries = frozenset(targets)
    short = shortened(entries, modules)
    return spec if short is entries else replace(spec, target_modules=tuple(sorted(short)))


def _chosen(
    selection: Selection,
    to_tie: Sequence[str],
    spec: LoraSpec,
    with_default: LoraSpec,
    rewrite: Rewrite,
) -> dict[str, tuple[str, Reason]]:
    """Return the chosen modules, each with the user's entry that chose it and why it did."""
    chosen = {path: entry for path, entry in selection.chosen.items() if path not in to_tie}
    asked = spec.target_modules
    if isinstance(asked, str):
        reason = Reason.REWRITE if rewrite.resolved else Reason.REGEX
        reason = Reason.ALL_LINEAR if is_all_linear(spec) else reason
        return dict.fromkeys(chosen, (asked, reason))
    if asked is None:
        default = with_default.target_modules
        pattern = default if isinstance(default, str) else None
        return {path: (pattern or entry, Reason.DEFAULT) for path, entry in chosen.items()}
    own = EntryList(asked).named(chosen)
    return {path: _chosen_by_list(path, entry, own.get(path)) for path, entry in chosen.items()}


def _chosen_by_list(path: str, entry: str, own: str | None) -> tuple[str, Reason]:
    if own is None:
        return entry, Reason.TIED
    return own, Reason.EXACT_NAME if own == path else Reason.LIST_SUFFIX


def _parameter_entries(
    spec: LoraSpec, effective: LoraSpec, rewrite: Rewrite
) -> dict[str, tuple[str, Reason]]:
    """Return, for each entry of `target_parameters` in force, what the user wrote and why."""
    own = spec.target_parameters or ()
    found: dict[str, tuple[str, Reason]] = {}
    for entry in effective.target_parameters or ():
        if entry in own:
            found[entry] = (entry, Reason.TARGET_PARAMETER)
        elif isinstance(spec.target_modules, str):
            found[entry] = (spec.target_modules, Reason.REWRITE)
        else:
            old = next(old for old, new in rewrite.parameters_of.items() if new == entry)
            found[entry] = (old, Reason.REWRITE)
    return found


def _adapt_tied(
    modules: Mapping[str, Module],
    to_tie: Sequence[str],
    tied_names: Sequence[str],
    adapted: Sequence[Adapted],
    spec: LoraSpec,
    model: ModelInfo,
    regex: BoundedRegex,
) -> list[Adapted]:
    """Adapt what shares the embedding's weight, with factors of the embedding's rank.

    Source: peft 0.21.2, `_create_and_replace` in `tuners/lora/model.py`.
    """
    chosen = {path: (path, Reason.TIED) for path in to_tie}
    result = []
    for each in adapt_modules(modules, chosen, spec, model, regex):
        # PEFT asks with the last part of the name, so only modules at the top are really tied.
        if modules[each.module].name not in tied_names:
            result.append(each)
            continue
        embedding = next((one for one in adapted if one.module == model.input_embedding), None)
        if embedding is None or modules[embedding.module].kind is not Kind.EMBEDDING:
            raise SpecificationError(
                f"ensure_weight_tying: {each.module!r} is to be tied to the input embedding, "
                "which is not adapted.",
                "Do not exclude the embedding.",
            )
        if modules[each.module].kind is Kind.LINEAR:
            tensors = module_tensors(modules[each.module], embedding.target.rank, spec)
            target = replace(each.target, params=total(tensors))
            result.append(replace(each, tensors=tensors, target=target))
            continue
        result.append(each)
    return result


def _as_left_by_peft(
    spec: LoraSpec, modules: Mapping[str, Module], adapted: Iterable[Adapted]
) -> LoraSpec:
    """Return the configuration with what PEFT sets in it while it adapts modules."""
    layers = (modules[each.module] for each in adapted)
    spec = replace(spec, fan_in_fan_out=fan_in_fan_out_after(spec, layers))
    heads = late_heads(spec.task_type)
    if heads and spec.task_type != "SEQ_CLS":
        spec = replace(spec, modules_to_save=(*(spec.modules_to_save or ()), *heads))
    return spec


def _taken_out(selection: Selection) -> tuple[str, ...]:
    return tuple(path for path in selection.wanted if path in selection.excluded)
