"""Give an adapter the names of another model with the same modules: a wrapper, or what it wraps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lorascope.checking.stored_fit import PREFIX
from lorascope.core.adaptation import Change, Step
from lorascope.core.errors import AdapterError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.numbers import counted
from lorascope.rewriting.pairs import Content, Extra, Pair

_LAYERED = re.compile(r"[^.]+\.\d+\..*")
_MOST_NAMED = 5


def renamed(content: Content, base: Inventory, served: Inventory) -> tuple[Content, Change | None]:
    """Name everything as the served model does.

    A module is the same one if its name is the same from the list of blocks on
    (`layers.0.self_attn.q_proj`), and kind and sizes are the same. Where several are, those of the
    same tower count.

    Raises:
        AdapterError: The served model has no such module, or several, or of another size.
    """
    by_tail: dict[str, list[Module]] = {}
    for module in served.modules:
        if module.alias_of is None and module.path:
            by_tail.setdefault(_tail(module.path), []).append(module)
    holders = dict.fromkeys(_holder(pair, base) for pair in content.pairs)
    holders.update(dict.fromkeys(extra.path for extra in content.extras if extra.path))
    places: dict[str, str] = {}
    problems: list[str] = []
    for path in holders:
        found = _same(base.by_path[path], by_tail)
        if isinstance(found, str):
            problems.append(found)
        else:
            places[path] = found.path
    if problems:
        more = len(problems) - _MOST_NAMED
        rest = f" And {more:,} more." if more > 0 else ""
        raise AdapterError(
            f"The adapter of {base.model.reference} does not fit {served.model.reference}: "
            f"{' '.join(problems[:_MOST_NAMED])}{rest}",
            "Name the model that is served, with the same language model inside.",
        )
    moved = {old: new for old, new in places.items() if old != new}
    if not moved:
        return content, None
    pairs = tuple(_renamed(pair, base, places) for pair in content.pairs)
    extras = tuple(_renamed_extra(extra, places) for extra in content.extras)
    first = next(iter(moved.items()))
    text = f"{counted(len(moved), 'module')} renamed: {first[0]} is now {first[1]}."
    return Content(pairs, extras), Change(Step.RENAMED, text, tuple(moved.values()))


def _holder(pair: Pair, base: Inventory) -> str:
    """Return the row of the inventory that a pair belongs to."""
    return pair.path if pair.path in base.by_path else pair.path.rpartition(".")[0]


def _same(module: Module, by_tail: Mapping[str, list[Module]]) -> Module | str:
    named = by_tail.get(_tail(module.path), [])
    fitting = [each for each in named if _shape(each) == _shape(module)]
    if len(fitting) > 1:
        fitting = [each for each in fitting if each.tower is module.tower] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        return f"{module.path} may be {_listed(each.path for each in fitting)}."
    if named:
        sizes = _listed(f"{each.path} ({_sizes(each)})" for each in named)
        return f"{module.path} ({_sizes(module)}) has the name of {sizes}, of another size."
    return f"{module.path} has no module of its name there."


def _shape(module: Module) -> tuple[object, ...]:
    return module.kind, module.in_features, module.out_features, module.experts, module.kernel


def _sizes(module: Module) -> str:
    return f"{module.in_features} to {module.out_features}"


def _listed(names: Iterable[str]) -> str:
    return " or ".join(list(names)[:_MOST_NAMED])


def _tail(path: str) -> str:
    hit = _LAYERED.search(path)
    return path.rpartition(".")[2] if hit is None else hit[0]


def _renamed(pair: Pair, base: Inventory, places: Mapping[str, str]) -> Pair:
    old = _holder(pair, base)
    new = places[old]
    path = new + pair.path.removeprefix(old)
    # The names of stacked experts start with that of the module that holds the parameter.
    if pair.is_parameter:
        old, new = pair.path.rpartition(".")[0], path.rpartition(".")[0]
    return replace(pair, path=path, stem=PREFIX + new + pair.stem.removeprefix(PREFIX + old))


def _renamed_extra(extra: Extra, places: Mapping[str, str]) -> Extra:
    if not extra.path:
        return extra
    new = places[extra.path]
    name = PREFIX + new + extra.name.removeprefix(PREFIX + extra.path)
    return replace(extra, path=new, name=name)
