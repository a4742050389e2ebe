"""Small pieces of the sentences that rules say."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from lorascope.core.recipe import Recipe, Tool

_MOST = 6
_MOST_WORDS = 60
"""Words of a command written out; many findings may each hold the whole list."""


def shown(entries: Iterable[str]) -> str:
    """Quote entries with commas between: `'q_proj', 'v_proj'`; more than a few are counted."""
    return _cut([repr(entry) for entry in entries])


def in_command(recipe: Recipe, field: str) -> bool:
    """Whether a field is said by a flag of a command."""
    return recipe.key(field).startswith("--")


def as_list(recipe: Recipe, field: str, entries: Iterable[str]) -> str:
    """Write entries as the file takes them: in a command as the flag with all of its words.

    Elsewhere they are quoted, with commas between.
    """
    if not in_command(recipe, field):
        return shown(entries)
    # ms-swift has one flag for a pattern and another for names.
    key = "--target_modules" if recipe.key(field) == "--target_regex" else recipe.key(field)
    names = list(entries)
    more = [f"… and {len(names) - _MOST_WORDS} more"] if len(names) > _MOST_WORDS else []
    names = names[:_MOST_WORDS]
    if recipe.tool is Tool.LLAMAFACTORY:
        return " ".join([key, shlex.quote(",".join(names)), *more])
    words = list(map(shlex.quote, names))
    if recipe.tool is Tool.TRL and len(words) == 1 and words[0].replace(".", "_").isidentifier():
        words *= 2  # one alone would be a string, which PEFT reads as a regular expression
    return " ".join([key, *words, *more])


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
