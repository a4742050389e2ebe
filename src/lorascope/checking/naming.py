"""Names to write: the shortest that say exactly what is meant in one model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lorascope.core.inventory import Module
from lorascope.matching.bounded_regex import BoundedRegex, Pattern
from lorascope.matching.names import ancestors

_LONGEST = 4
"""Parts of a name that a short ending may have."""
_MOST = 8
"""Different endings that may stand in a hint."""


def last_names(modules: Iterable[Module]) -> tuple[str, ...]:
    """Return the last parts of the modules' names, each once."""
    return tuple(dict.fromkeys(module.name for module in modules))


def endings(wanted: Sequence[Module], others: Iterable[Module] = ()) -> tuple[str, ...]:
    """Return the shortest ends of names that name all of `wanted` and none of `others`.

    Empty if there are no few such ends.
    """
    kept = [module.path for module in others]
    for parts in range(1, _LONGEST + 1):
        found = dict.fromkeys(_end(module.path, parts) for module in wanted)
        if len(found) > _MOST:
            return ()
        if not any(_end(path, parts) in found for path in kept):
            return tuple(found)
    return ()


def _end(path: str, parts: int) -> str:
    return ".".join(path.split(".")[-parts:])


def parameter_ending(module: Module) -> str:
    """Return the last two parts of an expert parameter's name: `experts.down_proj`."""
    return _end(module.path, 2)


def roots(inside: Iterable[Module], outside: Iterable[Module]) -> tuple[str, ...]:
    """Return the topmost containers that hold all of `inside` and nothing of `outside`.

    A module that shares its containers with one outside stands for itself.
    """
    shared = {above for module in outside for above in (module.path, *ancestors(module.path))}
    found = (_topmost(module.path, shared) for module in inside)
    return tuple(dict.fromkeys(found))


def _topmost(path: str, shared: set[str]) -> str:
    alone = [above for above in ancestors(path) if above not in shared]
    return alone[-1] if alone else path


def below(names: Sequence[str]) -> str:
    r"""Return a pattern for everything in some containers: `model\.visual\..*`."""
    escaped = [re.escape(name) for name in names]
    return rf"{escaped[0]}\..*" if len(escaped) == 1 else rf"({'|'.join(escaped)})\..*"


def pattern_in(names: Sequence[str], leaves: Sequence[str]) -> str:
    r"""Return a pattern for named leaves in some containers: `model\.decoder\..*\.(q|v)_proj`."""
    ends = [re.escape(leaf) for leaf in leaves]
    last = ends[0] if len(ends) == 1 else f"({'|'.join(ends)})"
    return rf"{below(names)}\.{last}"


def takes_exactly(pattern: str, wanted: Iterable[Module], others: Iterable[Module]) -> bool:
    """Whether a pattern matches the full names of all of `wanted` and of none of `others`."""
    inside = [module.path for module in wanted]
    outside = [module.path for module in others]
    where = Pattern(pattern, "target_modules")
    found = BoundedRegex().matching(where, [*inside, *outside], whole=True)
    return all(path in found for path in inside) and not any(path in found for path in outside)


def quoted(names: Iterable[str]) -> str:
    """Write names as the items of a list: `["q_proj", "v_proj"]`."""
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
