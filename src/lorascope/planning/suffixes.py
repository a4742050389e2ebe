"""Shortest dotted suffixes that name exactly one set of full names among others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lorascope.matching.names import suffixes


def shortest_suffixes(
    wanted: Iterable[str],
    others: Iterable[str],
    *,
    numbers: bool = True,
    bare: Collection[str] = (),
) -> tuple[str, ...] | None:
    """Return the shortest suffixes (whole parts) that name all of `wanted` and none of `others`.

    Args:
        wanted: Full names to hit.
        others: Full names to miss.
        numbers: Whether a suffix may hold a part that is a number (a layer index).
        bare: Last parts that are never used alone, because alone they say nothing (`weight`).

    Returns:
        The suffixes in the order of the names they serve first; None if there are no such.
    """
    names = list(wanted)
    leaves = {name.rpartition(".")[2] for name in names}
    blocked: set[str] = set()
    for other in others:
        if other.rpartition(".")[2] in leaves:
            blocked.update(suffixes(other))
    found: dict[str, None] = {}
    for name in names:
        suffix = next(
            (
                s
                for s in suffixes(name)
                if s not in blocked and s not in bare and (s == name or not _starts_with_number(s))
            ),
            None,
        )
        if suffix is None or not (numbers or _is_free_of_numbers(suffix)):
            return None
        found[suffix] = None
    return tuple(found)


def _starts_with_number(suffix: str) -> bool:
    return suffix.partition(".")[0].isdigit()


def _is_free_of_numbers(suffix: str) -> bool:
    return not any(part.isdigit() for part in suffix.split("."))
