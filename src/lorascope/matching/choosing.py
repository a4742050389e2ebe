"""What PEFT selects for a configuration, before it adapts anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory, ModelInfo, Module
from lorascope.core.spec import LoraSpec
from lorascope.matching.all_linear import all_linear_names, is_all_linear
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.expert_rewrite import Rewrite, rewritten
from lorascope.matching.limits import check_configuration
from lorascope.matching.minimal_suffixes import shortened
from lorascope.matching.names import EntryList, visited_modules
from lorascope.matching.peft_defaults import default_targets
from lorascope.matching.result import Reason
from lorascope.matching.selection import Selection, select
from lorascope.matching.task_heads import with_early_heads
from lorascope.matching.tying import Tying, tied_targets
from lorascope.matching.versions import Behaviour, behaviour_of

_NOTHING = "dummy-target-modules"
"""Targets nothing, without an error. Source: peft 0.21.2, `utils/constants.py`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A configuration read against one model: everything up to the first LoRA layer."""

    inventory: Inventory
    spec: LoraSpec
    """As asked."""
    effective: LoraSpec
    """As PEFT sees it by then."""
    modules: Mapping[str, Module]
    """As `named_modules()` lists them."""
    rewrite: Rewrite
    tying: Tying
    selection: Selection
    to_tie: tuple[str, ...]
    """Selected modules that get their factors from the embedding's."""
    chosen: Mapping[str, tuple[str, Reason]]
    """The other selected modules, each with the user's entry that chose it and why it did."""
    parameter_entries: Mapping[str, tuple[str, Reason]]
    """For each entry of `target_parameters` in force, what the user wrote and why."""
    names: tuple[str, ...]
    """All names asked about; none if `targets_nothing`."""
    targets_nothing: bool
    """Whether the targets are PEFT's word for no module at all."""
    regex: BoundedRegex
    behaviour: Behaviour
    peft_version: str


def choose(
    inventory: Inventory, spec: LoraSpec, peft_version: str, regex: BoundedRegex | None = None
) -> Choice:
    """Do what PEFT does before it adapts the first module, in its order.

    Source: peft 0.21.2, `inject_adapter` in `tuners/tuners_utils.py`.

    Raises:
        SpecificationError: PEFT would raise here too, or lorascope does not model what is asked.
    """
    behaviour = behaviour_of(peft_version)
    check_configuration(spec, behaviour)
    regex = BoundedRegex() if regex is None else regex
    model, modules = inventory.model, visited_modules(inventory)
    rewrite = rewritten(with_early_heads(spec), model, modules, regex, behaviour)
    tying = tied_targets(rewrite.spec, model, regex)
    with_default = _with_default(tying.spec, model)
    effective = _spelled_out(with_default, model, modules)
    nothing = effective.target_modules == _NOTHING
    names = () if nothing else tuple(path for path in modules if path)
    selection = select(names, effective, regex, behaviour)
    to_tie = tuple(EntryList(tying.targets).named(names))
    return Choice(
        inventory=inventory,
        spec=spec,
        effective=effective,
        modules=modules,
        rewrite=rewrite,
        tying=tying,
        selection=selection,
        to_tie=to_tie,
        chosen=_chosen(selection, to_tie, spec, with_default, rewrite),
        parameter_entries=_parameter_entries(spec, effective, rewrite),
        names=names,
        targets_nothing=nothing,
        regex=regex,
        behaviour=behaviour,
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
