"""PEFT's rewrite of old expert names for transformers 5, where experts are stacked parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import ModelInfo, Module
from lorascope.core.spec import LoraSpec
from lorascope.matching.all_linear import all_linear_names, is_all_linear
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.names import parameter_names
from lorascope.matching.selection import select
from lorascope.matching.versions import Behaviour

NEW_NAMES: Mapping[str, Mapping[str, str]] = {
    "mixtral": {
        "gate": "gate.weight",
        "w1": "gate_up_proj",
        "w3": "gate_up_proj",
        "w2": "down_proj",
    },
    "qwen2_moe": {
        "gate": "gate.weight",
        "gate_proj": "gate_up_proj",
        "up_proj": "gate_up_proj",
        "down_proj": "down_proj",
    },
}
"""Old module name → parameter of transformers 5, by rewrite.

Source: peft 0.21.2, `_MOE_TARGET_MODULE_MAPPING` in `utils/transformers_weight_conversion.py`.
"""

FUSED = "gate_up_proj"
"""The one parameter that takes the place of two modules, in both rewrites.

Source: peft 0.21.2, `_MOE_FUSED_TARGETS` in `utils/transformers_weight_conversion.py`.
"""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the rewrite made of a configuration."""

    spec: LoraSpec
    parameters_of: Mapping[str, str] = field(default_factory=dict)
    """Entry of `target_modules` → parameter that took its place."""
    resolved: tuple[str, ...] = ()
    """Last parts of names that a string `target_modules` was resolved to; empty if it was none."""


def rewritten(
    spec: LoraSpec,
    model: ModelInfo,
    modules: Mapping[str, Module],
    regex: BoundedRegex,
    behaviour: Behaviour,
) -> Rewrite:
    """Rewrite old expert names as PEFT does before it looks at anything else.

    Source: peft 0.21.2, `_convert_peft_config_moe` in `utils/transformers_weight_conversion.py`.

    Raises:
        SpecificationError: Only a part of what is now fused is targeted.
    """
    mapping = NEW_NAMES.get(model.expert_rewrite or "")
    if mapping is None:
        return Rewrite(spec)
    resolved: tuple[str, ...] = ()
    targets = spec.target_modules or ()
    if isinstance(spec.target_modules, str):
        resolved = _resolved(spec, model, modules, mapping, regex, behaviour)
        if not resolved:
            return Rewrite(spec)
        targets = resolved
    old_name_of = {
        entry: old for entry in targets if (old := _old_name(entry, mapping)) is not None
    }
    parameters_of = {entry: mapping[old] for entry, old in old_name_of.items()}
    spec = _with_fused_ranks(spec, mapping, frozenset(old_name_of.values()))
    parameters = dict.fromkeys([*(spec.target_parameters or ()), *parameters_of.values()])
    return Rewrite(
        spec=replace(
            spec,
            target_modules=tuple(entry for entry in targets if entry not in parameters_of),
            target_parameters=tuple(parameters),
        ),
        parameters_of=parameters_of,
        resolved=resolved,
    )


def _old_name(entry: str, mapping: Mapping[str, str]) -> str | None:
    return next((old for old in mapping if entry == old or entry.endswith(f".{old}")), None)


def _with_fused_ranks(
    spec: LoraSpec, mapping: Mapping[str, str], old_names: frozenset[str]
) -> LoraSpec:
    """Give the fused parameter, if it is named, the ranks and alphas of its parts together.

    Raises:
        SpecificationError: Only a part of what is now fused is targeted.
    """
    parts = [old for old, new in mapping.items() if new == FUSED]
    present = old_names & set(parts)
    if not present:
        return spec
    _check_complete(present, parts)
    key = rf".*\.{re.escape(FUSED)}"
    return replace(
        spec,
        rank_pattern={**spec.rank_pattern, key: spec.r * len(parts)},
        alpha_pattern={**spec.alpha_pattern, key: spec.lora_alpha * len(parts)},
    )


def _check_complete(present: frozenset[str], parts: list[str]) -> None:
    missing = [part for part in parts if part not in present]
    if missing:
        given, lacking = ", ".join(sorted(present)), ", ".join(sorted(missing))
        raise SpecificationError(
            f"target_modules names {given} but not {lacking}. On this model both are one expert "
            f"parameter, {FUSED} (PEFT: 'Cannot convert PEFT target(s) {given} without also "
            f"targeting {lacking} because they are fused into {FUSED}').",
            f"Add {lacking}, or leave out {given}.",
        )


def _resolved(
    spec: LoraSpec,
    model: ModelInfo,
    modules: Mapping[str, Module],
    mapping: Mapping[str, str],
    regex: BoundedRegex,
    behaviour: Behaviour,
) -> tuple[str, ...]:
    """Return the last parts of the names that a string stands for, old expert names included.

    Source: peft 0.21.2, `_resolve_string_target_modules`, as above.
    """
    if is_all_linear(spec):
        names = all_linear_names(modules, model, spec.task_type)
        return tuple(dict.fromkeys([*(_last(name) for name in names), *mapping]))
    parameters = list(parameter_names(modules))
    containers: dict[str, dict[str, None]] = {}
    for name in parameters:
        containers.setdefault(_last(name), {})[name.rpartition(".")[0]] = None
    old_names = {
        f"{container}.{old_name}": old_name
        for old_name, new_name in mapping.items()
        for container in containers.get(new_name, ())
    }
    names = tuple(dict.fromkeys([*modules, *parameters, *old_names]))
    chosen = select(names, spec, regex, behaviour).chosen
    real = {*modules, *parameters}
    found = dict.fromkeys(_last(name) for name in chosen if name in real)
    found.update(dict.fromkeys(old_names[name] for name in chosen if name in old_names))
    return tuple(found)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
