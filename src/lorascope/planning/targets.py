"""The shortest way to write a set of targets that PEFT reads as exactly that set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind, Role
from lorascope.matching.expert_rewrite import NEW_NAMES
from lorascope.matching.selection import FIRST_INDEX, layer_pattern
from lorascope.matching.versions import NEWEST, behaviour_of
from lorascope.planning.pattern import readable_pattern
from lorascope.planning.suffixes import shortest_suffixes
from lorascope.planning.words import WORDS

_WORD_ORDER = tuple(WORDS.values())

_SHORT_LIST = 16
_BLOCK = re.compile(r"(.*?)\.?(\d+)\.")
"""A list of blocks and the index of one of them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One target as the configuration has to name it."""

    module: Module
    name: str
    """Full name that PEFT matches: the module's, or its parameter's."""
    is_parameter: bool


@dataclass(frozen=True, slots=True)
class TargetFields:
    """The fields of a LoRA configuration that choose what is adapted."""

    target_modules: tuple[str, ...] | str
    target_parameters: tuple[str, ...] | None = None
    layers_to_transform: tuple[int, ...] | None = None
    layers_pattern: str | None = None


def planned(module: Module, inventory: Inventory) -> Planned:
    """How a module has to be named.

    An expert parameter, and a linear whose name PEFT would rewrite to one, is named as a
    parameter: PEFT's `ParamWrapper` takes a linear's 2-D weight with the same LoRA parameters
    and the same tensor names.
    """
    if module.kind is Kind.EXPERT_PARAMETER:
        return Planned(module, module.path, is_parameter=True)
    if module.name in NEW_NAMES.get(inventory.model.expert_rewrite or "", ()):
        return Planned(module, f"{module.path}.weight", is_parameter=True)
    return Planned(module, module.path, is_parameter=False)


def candidates(
    inventory: Inventory, targets: Sequence[Planned], saved: Sequence[str]
) -> Iterator[TargetFields]:
    """Ways to write the targets, shortest first. The caller takes the first that is exact.

    Args:
        inventory: The model.
        targets: What to hit.
        saved: Paths of modules saved whole; PEFT leaves them and all below out by itself.
    """
    ordered = sorted(targets, key=lambda target: place(target.module.role))
    modules = [t.name for t in ordered if not t.is_parameter]
    parameters = _parameter_names(inventory, [t.name for t in ordered if t.is_parameter])
    if not modules:
        yield TargetFields((), parameters)
        return
    wanted = set(modules)
    inside_saved = tuple(f"{path}." for path in saved)
    others = [
        m.path
        for m in inventory.modules
        if m.path
        and m.path not in wanted
        and m.alias_of is None
        and m.path not in saved
        and not m.path.startswith(inside_saved)
    ]
    for way in _module_ways(modules, others, inventory.model.expert_rewrite is not None):
        yield TargetFields(
            way.target_modules, parameters, way.layers_to_transform, way.layers_pattern
        )


def place(role: Role) -> int:
    """Entries stand in the order q, k, v, o, gate, up, down, whatever a model's own order is."""
    return next((i for i, roles in enumerate(_WORD_ORDER) if role in roles), len(_WORD_ORDER))


def _module_ways(
    wanted: list[str], others: list[str], is_rewritten: bool
) -> Iterator[TargetFields]:
    suffixes = shortest_suffixes(wanted, others, numbers=False)
    if suffixes is not None and len(suffixes) <= _SHORT_LIST:
        yield TargetFields(suffixes)
    by_layers = tuple(_by_layers(wanted, others))
    some_layers = _is_some_layers(wanted, others)
    if some_layers:
        yield from by_layers
    # Where PEFT rewrites expert names it cuts a pattern down to last names, so none is exact.
    if not is_rewritten and (pattern := readable_pattern(wanted, others)) is not None:
        yield TargetFields(pattern)
    if not some_layers:
        yield from by_layers
    numbered = shortest_suffixes(wanted, others)
    if numbered is not None and len(numbered) <= _SHORT_LIST:
        yield TargetFields(numbered)
    yield TargetFields(tuple(wanted))


def _by_layers(wanted: list[str], others: list[str]) -> Iterator[TargetFields]:
    """Suffixes with `layers_to_transform`, without and with a `layers_pattern`."""
    patterns: list[str | None] = [None]
    if (container := re.match(r"(?:.*?\.)?([^.]+)\.\d+\.", wanted[0])) is not None:
        patterns.append(container[1])
    for pattern in patterns:
        index = (
            FIRST_INDEX
            if pattern is None
            else re.compile(layer_pattern(re.escape(pattern), behaviour_of(NEWEST)).regex)
        )
        layers = [_index_in(name, index) for name in wanted]
        if None in layers:
            continue
        chosen = {layer for layer in layers if layer is not None}
        reachable = [name for name in others if _index_in(name, index) in chosen]
        suffixes = shortest_suffixes(wanted, reachable, numbers=False)
        if suffixes is not None and len(suffixes) <= _SHORT_LIST:
            yield TargetFields(suffixes, None, tuple(sorted(chosen)), pattern)


def _is_some_layers(wanted: list[str], others: list[str]) -> bool:
    """Whether a list of blocks that holds wanted modules also has blocks without any."""
    chosen = {block.groups() for name in wanted if (block := _BLOCK.match(name))}
    lists = {head for head, _ in chosen}
    present = {block.groups() for name in others if (block := _BLOCK.match(name))}
    return any(head in lists and (head, index) not in chosen for head, index in present)


def _index_in(name: str, index: re.Pattern[str]) -> int | None:
    found = index.match(name)
    return None if found is None else int(found["idx"])


def _parameter_names(inventory: Inventory, wanted: list[str]) -> tuple[str, ...] | None:
    if not wanted:
        return None
    chosen = set(wanted)
    others = (
        name
        for module in inventory.modules
        if module.alias_of is None
        for parameter in module.parameters
        if (name := f"{module.path}.{parameter.name}") not in chosen
    )
    return shortest_suffixes(wanted, others, bare=("weight",)) or tuple(wanted)
