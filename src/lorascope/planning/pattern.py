"""A readable regular expression that fully matches one set of dotted names among others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

_MOST_CHARACTERS = 2000
_Template = tuple[str, ...]
_Numbers = tuple[str, ...]


def readable_pattern(wanted: Iterable[str], others: Iterable[str]) -> str | None:
    r"""Return for example `model\.layers\.\d+\.self_attn\.(q|v)_proj`.

    Names that differ in numbers alone are one branch; the numbers become `\d+` where all of them
    are wanted, else an alternation.

    Args:
        wanted: Full names to match.
        others: Full names not to match.

    Returns:
        The pattern, for `re.fullmatch`; None if the wanted names follow no simple rule.
    """
    of_wanted = _by_template(wanted)
    of_others = _by_template(others)
    branches: list[tuple[str, ...]] = []
    for template, numbers in of_wanted.items():
        positions = _positions(numbers, of_others.get(template, set()))
        if positions is None:
            return None
        filled = iter(positions)
        branches.append(tuple(next(filled) if p == "#" else re.escape(p) for p in template))
    pattern = _rendered(branches)
    return pattern if len(pattern) <= _MOST_CHARACTERS else None


def _by_template(names: Iterable[str]) -> Mapping[_Template, set[_Numbers]]:
    """Numbers by name with `#` in their place."""
    found: dict[_Template, set[_Numbers]] = defaultdict(set)
    for name in names:
        parts = name.split(".")
        numbers = tuple(part for part in parts if part.isdigit())
        found[tuple("#" if part.isdigit() else part for part in parts)].add(numbers)
    return found


def _positions(wanted: set[_Numbers], others: set[_Numbers]) -> list[str] | None:
    """One expression for each number of a template; None if no product of them is exact."""
    if not others:
        return [r"\d+"] * len(next(iter(wanted)))
    everything = wanted | others
    chosen = [set(column) for column in zip(*wanted, strict=True)]
    if any(all(n in c for n, c in zip(each, chosen, strict=True)) for each in others):
        return None
    return [
        r"\d+" if values == {each[i] for each in everything} else _alternation(values)
        for i, values in enumerate(chosen)
    ]


def _alternation(values: set[str]) -> str:
    ordered = sorted(values, key=int)
    return ordered[0] if len(ordered) == 1 else f"({'|'.join(ordered)})"


def _rendered(branches: list[tuple[str, ...]]) -> str:
    """Join branches as a tree, so that what they share is written once."""
    by_head: dict[str, list[tuple[str, ...]]] = {}
    for branch in branches:
        by_head.setdefault(branch[0], []).append(branch[1:])
    heads_by_rest: dict[str, list[str]] = {}
    for head, rests in by_head.items():
        # A name that is also the container of another wanted name keeps an own branch.
        ends = [rest for rest in rests if not rest]
        deeper = [rest for rest in rests if rest]
        if ends:
            heads_by_rest.setdefault("", []).append(head)
        if deeper:
            heads_by_rest.setdefault(rf"\.{_rendered(deeper)}", []).append(head)
    options = [_either(heads) + rest for rest, heads in heads_by_rest.items()]
    return options[0] if len(options) == 1 else f"({'|'.join(options)})"


def _either(heads: list[str]) -> str:
    """`(q|v)_proj` for `q_proj` and `v_proj`."""
    if len(heads) == 1:
        return heads[0]
    stem, underscore, tail = heads[0].rpartition("_")
    if stem and all(head.endswith(f"_{tail}") and head != f"_{tail}" for head in heads):
        heads = [head.removesuffix(f"_{tail}") for head in heads]
        return f"({'|'.join(heads)}){underscore}{tail}"
    return f"({'|'.join(heads)})"
