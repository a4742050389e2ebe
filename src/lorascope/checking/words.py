"""Small pieces of the sentences that rules say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_MOST = 6


def shown(entries: Iterable[str]) -> str:
    """Quote entries with commas between: `'q_proj', 'v_proj'`; more than a few are counted."""
    return _cut([repr(entry) for entry in entries])


def listed(names: Iterable[str]) -> str:
    """Put commas between names: `q_proj, v_proj`; more than a few are counted."""
    return _cut(list(names))


def _cut(pieces: list[str]) -> str:
    kept = pieces[:_MOST]
    more = len(pieces) - len(kept)
    return ", ".join(kept) + (f" and {more} more" if more else "")


def as_written(value: Any) -> str:
    """Write a value of a file as JSON and YAML do: `true`, `null`; a list with commas between."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return listed(f"{key}: {as_written(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return listed(_in_list(each) for each in value)
    return str(value)


def _in_list(value: Any) -> str:
    text = as_written(value)
    return f"[{text}]" if isinstance(value, (list, tuple)) else text
