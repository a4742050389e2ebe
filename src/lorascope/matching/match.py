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
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.choosing import Choice, choose
from lorascope.matching.counts import module_tensors, total
from lorascope.matching.entries import explain_entries
from lorascope.matching.limits import check_something_matched
from lorascope.matching.result import Match, Reason
from lorascope.matching.task_heads import late_heads
from lorascope.matching.trainable import count_trainable
from lorascope.matching.versions import NEWEST
from lorascope.matching.warn import warnings_for


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
    return adapt(choose(inventory, spec, peft_version))


def adapt(choice: Choice) -> Match:
    """Adapt what was chosen, as PEFT does.

    Raises:
        SpecificationError: PEFT would raise here too, or lorascope does not model what is asked.
    """
    model, modules, regex = choice.inventory.model, choice.modules, choice.regex
    effective, selection, to_tie = choice.effective, choice.selection, choice.to_tie
    adapted = adapt_modules(modules, choice.chosen, effective, model, regex)
    parameters = adapt_parameters(
        modules, choice.parameter_entries, adapted, effective, model, regex
    )
    tied = _adapt_tied(modules, to_tie, choice.tying.targets, adapted, effective, model, regex)
    if not choice.targets_nothing:
        excluded = [path for path in selection.excluded if path not in to_tie]
        check_something_matched(
            effective,
            adapted=bool(adapted or parameters or tied),
            excluded=excluded,
            unmatched=len(choice.names) > len(excluded) + len(choice.chosen) + len(to_tie),
        )
    everything = [*adapted, *parameters, *tied]
    warned = warnings_for(
        effective, modules, [*adapted, *tied], parameters, selection, regex, choice.behaviour
    )
    trainable = count_trainable(
        choice.inventory, everything, effective, choice.tying.saved, choice.behaviour
    )
    targets = tuple(each.target for each in everything)
    effective = _as_left_by_peft(effective, modules, adapted)
    return Match(
        spec=choice.spec,
        effective=effective,
        targets=targets,
        saved=trainable.saved,
        trained_tokens=trainable.tokens,
        entries=explain_entries(choice, effective, targets, trainable.saved),
        excluded=selection.taken_out,
        trainable_params=trainable.params,
        bias_params=trainable.bias_params,
        warnings=(*choice.tying.warnings, *warned, *trainable.warnings),
        peft_version=choice.peft_version,
    )


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
