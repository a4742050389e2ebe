"""What PEFT would warn of, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.core.inventory import Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.adapting import Adapted
from lorascope.matching.bounded_regex import BoundedRegex
from lorascope.matching.patterns import KeyedNames
from lorascope.matching.selection import Selection
from lorascope.matching.versions import Behaviour


def warnings_for(
    spec: LoraSpec,
    modules: Mapping[str, Module],
    adapted: Sequence[Adapted],
    parameters: Sequence[Adapted],
    selection: Selection,
    regex: BoundedRegex,
    behaviour: Behaviour,
) -> list[str]:
    """Return the warnings of PEFT's injection that concern the selection.

    Source: peft 0.21.2, `inject_adapter` in `tuners/tuners_utils.py` and `tuners/lora/layer.py`.

    Args:
        spec: As PEFT sees it by then.
        modules: As `named_modules()` lists them.
        adapted: Adapted modules.
        parameters: Adapted parameters.
        selection: What was excluded.
        regex: Matches the patterns.
        behaviour: Of the PEFT release.

    Raises:
        SpecificationError: A key of a pattern is no regular expression.
    """
    found = [*_of_layers(spec, modules, adapted)]
    if spec.exclude_modules and not selection.excluded:
        found.append(f"exclude_modules={_shown(spec.exclude_modules)} excludes no module.")
    elif spec.target_modules and not adapted:
        found.append(f"target_modules={_shown(spec.target_modules)} matches no module.")
    elif spec.target_parameters and not parameters:
        found.append(f"target_parameters={_shown(spec.target_parameters)} matches no parameter.")
    if behaviour.warns_of_unmatched_patterns:
        found.extend(_of_patterns(spec, [each.module for each in adapted], regex))
    return found


def _of_layers(
    spec: LoraSpec, modules: Mapping[str, Module], adapted: Sequence[Adapted]
) -> Iterator[str]:
    kinds = [modules[each.module].kind for each in adapted]
    if spec.fan_in_fan_out and Kind.LINEAR in kinds:
        yield "fan_in_fan_out is true but nn.Linear is targeted; PEFT sets it to false."
    if not spec.fan_in_fan_out and Kind.CONV1D in kinds:
        yield "fan_in_fan_out is false but Conv1D is targeted; PEFT sets it to true."
    if any(modules[each.module].groups > 1 for each in adapted):
        yield "A convolution with groups is targeted; its adapter cannot be merged."
    without = [each.module for each in adapted if not _has_bias(modules[each.module])]
    if spec.lora_bias and without:
        yield (
            f"lora_bias is true but {without[0]!r} and maybe others have no bias, so that merging "
            "is not possible."
        )


def _has_bias(module: Module) -> bool:
    return any(parameter.name == "bias" for parameter in module.parameters)


def _of_patterns(spec: LoraSpec, names: Sequence[str], regex: BoundedRegex) -> Iterator[str]:
    if not names:
        return
    known = KeyedNames(names)
    for where, keys in (("rank_pattern", spec.rank_pattern), ("alpha_pattern", spec.alpha_pattern)):
        unmatched = [key for key in keys if not known.matching(key, where, regex)]
        if unmatched:
            yield f"{where}: no targeted module matches {_shown(sorted(unmatched))}."


def _shown(entries: Sequence[str]) -> str:
    return entries if isinstance(entries, str) else ", ".join(map(repr, entries))
