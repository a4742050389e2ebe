"""What a forward pass showed of a model, in words: shared inputs, kept inputs, what it missed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import counted, exact
from lorascope.core.observation import Call, ObservationInfo
from lorascope.core.roles import Role, Tower
from lorascope.report.fold import fold
from lorascope.report.layout import bullet, heading
from lorascope.report.lines import Line, line
from lorascope.report.role_order import role_place

_MOST_KINDS = 6
"""Kinds of shared inputs that are told one by one; more are only counted."""
_MOST_PATTERNS = 3
"""Patterns quoted of what was not reached before the rest is only counted."""


def observed_lines(inventory: Inventory, shown: Sequence[Module], width: int) -> list[Line]:
    """Lay out what the pass showed of some modules; nothing if none was run.

    Args:
        inventory: The whole model.
        shown: The modules to speak of, in model order.
        width: Characters a line.
    """
    if inventory.observation is None:
        return []
    several = len({module.tower for module in shown}) > 1
    told = [*_shared(shown, several=several), *_kept(shown, several=several)]
    told += _missed(shown, inventory.observation)
    if not told:
        return []
    lines = [line(""), heading("Observed")]
    for each in told:
        lines += bullet(each, width)
    return lines


def observation_text(inventory: Inventory) -> str:
    """Say in one line whether the model was run, on what, and what came of it."""
    observation = inventory.observation
    if observation is None:
        can_be_run = inventory.built_with.method != "checkpoint"
        return "no, roles are by name (--observe runs the model)" if can_be_run else ""
    if not observation.inputs:
        return f"no: {observation.reason}"
    text = f"one forward pass given {', '.join(observation.inputs)}"
    if observation.attentions:
        text += f"; {counted(observation.attentions, 'attention')} ran"
    text = "; ".join((text, *observation.notes))
    return text if observation.reason is None else f"{text}; only in part: {observation.reason}"


def _shared(shown: Iterable[Module], *, several: bool) -> Iterator[str]:
    """One sentence for each set of roles that read the very same tensor."""
    groups: dict[int, list[Module]] = {}
    for module in shown:
        if module.observed is not None and module.observed.input_group is not None:
            groups.setdefault(module.observed.input_group, []).append(module)
    kinds: dict[tuple[str, str], int] = {}
    for group in groups.values():
        if len(group) > 1:
            kind = (_tower(group[0].tower, several=several) + _words(group), _reach(group))
            kinds[kind] = kinds.get(kind, 0) + 1
    for (words, reach), count in list(kinds.items())[:_MOST_KINDS]:
        times = "" if count == 1 else f" ({exact(count)} times)"
        yield f"{words}{reach} read one tensor{times}."
    if len(kinds) > _MOST_KINDS:
        yield f"And {counted(len(kinds) - _MOST_KINDS, 'more kind')} of shared inputs."


def _reach(group: Sequence[Module]) -> str:
    layers = {module.layer for module in group}
    return f" of {len(layers)} blocks" if len(layers) > 1 else ""


def _kept(shown: Iterable[Module], *, several: bool) -> Iterator[str]:
    """Which inputs autograd keeps anyway, so that an adapter there keeps no further one."""
    kept: dict[str, list[bool]] = {}
    for module in shown:
        if module.observed is not None and module.observed.input_kept is not None:
            name = _tower(module.tower, several=several) + _label(module)
            kept.setdefault(name, []).append(module.observed.input_kept)
    always = [
        name if all(each) else f"{name} ({sum(each)} of {len(each)})"
        for name, each in kept.items()
        if any(each)
    ]
    if always:
        yield (
            "Inputs kept for the backward pass even if nothing is adapted, so that an adapter there"
            f" keeps no further one: {', '.join(always)}."
        )


def _missed(shown: Iterable[Module], observation: ObservationInfo) -> Iterator[str]:
    if not observation.inputs:  # nothing ran, as the header says
        return
    paths = [
        module.path
        for module in shown
        if module.observed is not None and module.observed.call is Call.NOT_REACHED
    ]
    if not paths:
        return
    patterns = [pattern.text for pattern in fold(paths)]
    more = len(patterns) - _MOST_PATTERNS
    rest = f" and {counted(more, 'more pattern')}" if more > 0 else ""
    why = "the pass was cut short" if observation.is_partial else "no input led there"
    yield (
        f"Not reached ({exact(len(paths))}): {why}, so the pass says nothing of"
        f" {', '.join(patterns[:_MOST_PATTERNS])}{rest}."
    )


def _tower(tower: Tower, *, several: bool) -> str:
    return f"{tower}: " if several else ""


def _words(group: Sequence[Module]) -> str:
    """The roles of modules that read one tensor: `q, k and v`."""
    ordered = sorted(group, key=lambda module: role_place(module.role))
    one_group = len({module.role.group for module in ordered}) == 1
    labels = list(dict.fromkeys(_label(m, is_short=one_group) for m in ordered))
    if len(labels) == 1:
        return f"{len(group)} × {labels[0]}"
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def _label(module: Module, *, is_short: bool = False) -> str:
    if module.role is Role.UNKNOWN:
        return module.name
    role = module.role.value.partition(".")[2] or module.role.value
    name = role if is_short else module.role.value
    return f"{name} (cross)" if module.cross_attention else name
