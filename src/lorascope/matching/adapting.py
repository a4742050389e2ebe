"""From selected names to adapted targets: rank, alpha, tensors, and what PEFT refuses there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import ModelInfo, Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.counts import AdapterTensor, module_tensors, parameter_tensors, total
from lorascope.matching.limits import check_mamba, check_module, check_parameter
from lorascope.matching.names import EntryList, ancestors
from lorascope.matching.parameters import reached_parameters
from lorascope.matching.patterns import deciding_keys
from lorascope.matching.result import MatchedTarget, Reason


@dataclass(frozen=True, slots=True)
class Adapted:
    """One target and what LoRA puts there."""

    target: MatchedTarget
    module: str
    """Path of the module that the LoRA layer goes around; for a parameter, of its holder."""
    tensors: tuple[AdapterTensor, ...]
    attention: bool = False
    """Whether the module is an `nn.MultiheadAttention`."""


@dataclass(frozen=True, slots=True)
class Values:
    """Rank and alpha of each name."""

    spec: LoraSpec
    rank_keys: Mapping[str, str]
    alpha_keys: Mapping[str, str]

    def rank(self, name: str) -> int:
        """Return the rank of the target called `name`."""
        key = self.rank_keys.get(name)
        return self.spec.r if key is None else self.spec.rank_pattern[key]

    def alpha(self, name: str) -> float:
        """Return the alpha of the target called `name`."""
        key = self.alpha_keys.get(name)
        return self.spec.lora_alpha if key is None else self.spec.alpha_pattern[key]

    def target(
        self, name: str, entry: str, reason: Reason, params: int, *, is_parameter: bool = False
    ) -> MatchedTarget:
        """Return the result for `name`."""
        rank, alpha = self.rank(name), self.alpha(name)
        # A rank below 1 is refused by PEFT, but what it would reach is told all the same.
        divisor = max(rank, 1)
        return MatchedTarget(
            path=name,
            is_parameter=is_parameter,
            rank=rank,
            alpha=alpha,
            scaling=alpha / sqrt(divisor) if self.spec.use_rslora else alpha / divisor,
            params=params,
            entry=entry,
            reason=reason,
            rank_key=self.rank_keys.get(name),
            alpha_key=self.alpha_keys.get(name),
        )


def values_for(names: Sequence[str], spec: LoraSpec, regex: BoundedRegex) -> Values:
    """Look up which keys of the patterns decide for `names`."""
    return Values(
        spec=spec,
        rank_keys=deciding_keys(names, spec.rank_pattern, "rank_pattern", regex),
        alpha_keys=deciding_keys(names, spec.alpha_pattern, "alpha_pattern", regex),
    )


def adapt_modules(
    modules: Mapping[str, Module],
    chosen: Mapping[str, tuple[str, Reason]],
    spec: LoraSpec,
    model: ModelInfo,
    regex: BoundedRegex,
) -> list[Adapted]:
    """Put LoRA on the chosen modules, in order.

    Args:
        modules: As `named_modules()` lists them.
        chosen: Paths, each with the entry that chose it and why.
        spec: As PEFT sees it by then.
        model: For the guard of state-space models.
        regex: Matches the patterns.

    Raises:
        SpecificationError: PEFT refuses one of them.
    """
    values = values_for(list(chosen), spec, regex)
    adapted: dict[str, Adapted] = {}
    known: dict[tuple[object, ...], tuple[AdapterTensor, ...]] = {}
    for path, (entry, reason) in chosen.items():
        module = modules[path]
        _check_reachable(path, adapted)
        check_mamba(path, model)
        rank = values.rank(path)
        check_module(module, rank, spec)
        alike = (
            module.kind,
            module.in_features,
            module.out_features,
            module.kernel,
            module.groups,
            rank,
        )
        tensors = known.get(alike)
        if tensors is None:
            tensors = known[alike] = module_tensors(module, rank, spec)
        adapted[path] = Adapted(
            target=values.target(path, entry, reason, total(tensors)),
            module=path,
            tensors=tensors,
            attention=module.kind is Kind.MULTIHEAD_ATTENTION,
        )
    return list(adapted.values())


def _check_reachable(path: str, adapted: Mapping[str, Adapted]) -> None:
    """PEFT replaces an adapted module by its own layer, which hides what was inside.

    Only the `out_proj` of an adapted `nn.MultiheadAttention` stays in reach.
    """
    for above in ancestors(path):
        layer = adapted.get(above)
        if layer is None or (layer.attention and path == f"{above}.out_proj"):
            continue
        raise SpecificationError(
            f"Module {path!r} is inside {above!r}, which is targeted as well; PEFT does not find "
            "the inner module any more.",
            "Leave one of the two out, for example with exclude_modules.",
        )


def adapt_parameters(
    modules: Mapping[str, Module],
    entry_reasons: Mapping[str, tuple[str, Reason]],
    before: Sequence[Adapted],
    spec: LoraSpec,
    model: ModelInfo,
    regex: BoundedRegex,
) -> list[Adapted]:
    """Put LoRA on the parameters that `target_parameters` names, in order.

    Args:
        modules: As `named_modules()` lists them.
        entry_reasons: For each entry of `target_parameters`, what the user wrote and why.
        before: What `target_modules` adapted.
        spec: As PEFT sees it by then.
        model: For the guard of state-space models.
        regex: Matches the patterns.

    Raises:
        SpecificationError: PEFT refuses one of them.
    """
    if not spec.target_parameters:
        return []
    adapted = {each.module: modules[each.module] for each in before}
    _check_own_names(before, spec.target_parameters)
    reached = reached_parameters(modules, spec.target_parameters, adapted)
    values = values_for([each.path for each in reached], spec, regex)
    fan_in_fan_out = fan_in_fan_out_after(spec, adapted.values())
    result = []
    for each in reached:
        rank = values.rank(each.path)
        check_mamba(each.holder.path, model)
        check_parameter(each.holder, each.parameter, rank, spec, fan_in_fan_out=fan_in_fan_out)
        tensors = parameter_tensors(each.holder, each.parameter, rank)
        entry, reason = entry_reasons[each.entry]
        target = values.target(each.path, entry, reason, total(tensors), is_parameter=True)
        result.append(Adapted(target=target, module=each.holder.path, tensors=tensors))
    return result


def fan_in_fan_out_after(spec: LoraSpec, adapted: Iterable[Module]) -> bool:
    """Return `fan_in_fan_out` as it then stands: PEFT sets it from each linear it adapts."""
    value = spec.fan_in_fan_out
    for module in adapted:
        if module.kind in (Kind.LINEAR, Kind.CONV1D):
            value = module.kind is Kind.CONV1D
    return value


def _check_own_names(before: Sequence[Adapted], entries: Sequence[str]) -> None:
    """PEFT would match entries against the tensors of the adapter itself, too."""
    known = EntryList(entries)
    for layer in before:
        for tensor in layer.tensors:
            name = f"{layer.module}.{tensor.name}".replace(".base_layer", "")
            if known.first_naming(name) is not None:
                raise SpecificationError(
                    f"target_parameters reaches {name!r}, a tensor of the adapter itself.",
                    "Name the parameters by longer suffixes.",
                )
