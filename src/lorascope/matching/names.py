"""The names that PEFT goes through, and how an entry of a list finds them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lorascope.core.inventory import Inventory, Module
from lorascope.core.paths import joined
from lorascope.core.roles import Kind


def visited_modules(inventory: Inventory) -> dict[str, Module]:
    """Return the modules by path as `named_modules()` lists them, the root (`""`) first.

    Second names of a module object are left out, and so are expert parameters, which are no
    modules.
    """
    return {
        module.path: module
        for module in inventory.modules
        if module.alias_of is None and module.kind is not Kind.EXPERT_PARAMETER
    }


def parameter_names(modules: Mapping[str, Module]) -> Iterator[str]:
    """Yield full parameter names as `named_parameters()` does: each tensor under its first name."""
    for path, module in modules.items():
        for parameter in module.parameters:
            if parameter.tied_to is None:
                yield joined(path, parameter.name)


def ancestors(path: str) -> Iterator[str]:
    """Yield the paths of all containers of `path`, the nearest first, without the root."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path


def suffixes(name: str) -> Iterator[str]:
    """Yield all suffixes of whole parts, the shortest first: `c`, `b.c`, `a.b.c` for `a.b.c`."""
    dot = name.rfind(".")
    while dot >= 0:
        yield name[dot + 1 :]
        dot = name.rfind(".", 0, dot)
    yield name


class Endings:
    """The ends of many names, letter by letter."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._sorted = sorted((name[::-1], place) for place, name in enumerate(names))
        self._reversed = [name for name, _ in self._sorted]

    def places(self, end: str) -> list[int]:
        """Return the places, in order, of the names that end with `end`."""
        return self._places([self._starting(end[::-1], 0, 0, len(self._reversed))])

    def ending(self, end: str) -> list[str]:
        """Return the names that end with `end`, in order."""
        return [self._names[place] for place in self.places(end)]

    def has(self, end: str) -> bool:
        """Whether some name ends with `end`."""
        low, high = self._starting(end[::-1], 0, 0, len(self._reversed))
        return low < high

    def like(self, end: str) -> list[str]:
        """Return the names that end with `end`, in order; each dot in it is any character."""
        spans = [(0, len(self._reversed))]
        at = 0
        for number, part in enumerate(end[::-1].split(".")):
            if number:
                spans = [each for span in spans for each in self._split(at, *span)]
                at += 1
            spans = [self._starting(part, at, *span) for span in spans] if part else spans
            spans = [(low, high) for low, high in spans if low < high]
            if not spans:
                return []
            at += len(part)
        return [self._names[place] for place in self._places(spans)]

    def _starting(self, text: str, at: int, low: int, high: int) -> tuple[int, int]:
        """Narrow a span, whose reversed names are alike up to `at`, to those that go on so."""
        end = at + len(text)
        return (
            bisect_left(self._reversed, text, low, high, key=lambda name: name[at:end]),
            bisect_right(self._reversed, text, low, high, key=lambda name: name[at:end]),
        )

    def _split(self, at: int, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Cut a span into those of one character each at `at`; shorter names are left out."""
        low = bisect_left(self._reversed, True, low, high, key=lambda name: len(name) > at)
        while low < high:
            _, end = self._starting(self._reversed[low][at], at, low, high)
            yield low, end
            low = end

    def _places(self, spans: Iterable[tuple[int, int]]) -> list[int]:
        return sorted(place for low, high in spans for _, place in self._sorted[low:high])


class EntryList:
    """A list of entries, each of which names a module exactly or by the end of its name.

    It answers PEFT's `key in entries or key.endswith("." + entry)` by looking up the few ends of
    the name that are as long, in parts, as some entry, instead of going through all entries.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        by_dots: dict[int, set[str]] = {}
        for entry in entries:
            by_dots.setdefault(entry.count("."), set()).add(entry)
        self._by_dots = sorted(by_dots.items(), reverse=True)

    def naming(self, name: str) -> Iterator[str]:
        """Yield the entries that name `name`, the most specific first."""
        for dots, entries in self._by_dots:
            end = _end(name, dots)
            if end in entries:
                yield end

    def first_naming(self, name: str) -> str | None:
        """Return the most specific entry that names `name`; None if none does."""
        for dots, entries in self._by_dots:  # as `naming`, and quicker for one answer
            end = _end(name, dots)
            if end in entries:
                return end
        return None

    def named(self, names: Iterable[str]) -> dict[str, str]:
        """Return the names that an entry names, in order, each with the most specific entry."""
        found = ((name, self.first_naming(name)) for name in names)
        return {name: entry for name, entry in found if entry is not None}


def _end(name: str, dots: int) -> str:
    """Return the end of a name that has so many dots; nothing if the name has fewer."""
    parts = name.rsplit(".", dots + 1)
    if len(parts) <= dots:
        return ""
    return name if len(parts) == dots + 1 else name[len(parts[0]) + 1 :]
