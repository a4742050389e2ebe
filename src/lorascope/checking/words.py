"""Small pieces of the sentences that rules say."""

from __future__ import annotations

from collections.abc import Iterable

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
