"""PEFT's fields in a tool's keys: the inverse of how `lorascope.formats` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lorascope.core.recipe import Tool
from lorascope.core.spec import LoraSpec
from lorascope.formats import forms
from lorascope.formats.forms import Form
from lorascope.formats.keys import Key

_DEFAULTS = LoraSpec()
_ALWAYS = ("r", "lora_alpha", "lora_dropout", "target_modules")
_NEEDED = (
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
)
"""Fields without which something else is adapted: a way with one that the tool has no word for is
none. What else it has no word for is left out, and told as a loss."""
_WHOLE = (forms.WHOLE, forms.LOOSE_WHOLE, forms.STRICT_WHOLE)
_LISTS = (forms.NAMES, forms.NAME_OR_NAMES)


@dataclass(frozen=True, slots=True)
class Words:
    """How one tool says PEFT's fields."""

    tool: Tool
    keys: tuple[Key, ...]
    """As the reader has them; of two for one field the first is for a list, the second for text."""
    whole: frozenset[str] = frozenset()
    """Fields that take whole numbers only, though the reader takes any."""
    known: Mapping[str, frozenset[Any]] = field(default_factory=dict)
    """Field → the values that the tool takes, where it takes but some."""


def said(fields: Mapping[str, Any], words: Words) -> dict[str, Any] | None:
    """Return a tool's keys and values for PEFT's fields; None if it cannot choose so.

    Args:
        fields: PEFT's fields.
        words: The tool's.
    """
    out: dict[str, Any] = {}
    known = dict.fromkeys(key.field for key in words.keys if key.field is not None)
    names = (*(name for name in _ALWAYS if name in known), *(n for n in known if n not in _ALWAYS))
    for name in _NEEDED:
        if name not in names and not _is_default(name, fields.get(name)):
            return None
    for name in names:
        value = fields.get(name)
        is_needless = _is_default(name, value) and name not in _ALWAYS
        if is_needless or (name == "target_modules" and not value):
            continue
        pair = _pair(name, value, words)
        if pair is not None:
            out[pair[0]] = pair[1]
        elif name in _NEEDED and not _is_default(name, value):
            return None
    return out


def _is_default(name: str, value: Any) -> bool:
    default = getattr(_DEFAULTS, name)
    return value is None or value == default or (not value and not default)


def _pair(name: str, value: Any, words: Words) -> tuple[str, Any] | None:
    if name in words.known and value not in words.known[name]:
        return None
    key = _key(name, value, words.keys)
    is_whole = name in words.whole or key.form in _WHOLE
    if name == "lora_alpha" and is_whole:
        value = max(1, round(value))
    try:
        return key.name, _value(value, key.form, is_whole=is_whole)
    except ValueError:
        return None


def _key(name: str, value: Any, keys: tuple[Key, ...]) -> Key:
    found = [key for key in keys if key.field == name]
    return found[-1] if isinstance(value, str) else found[0]


def _value(value: Any, form: Form, *, is_whole: bool) -> Any:
    """Return a value in the type that a key takes.

    Raises:
        ValueError: It has no such form.
    """
    if is_whole:
        return _whole(value)
    if form is forms.NUMBER:
        return value
    if form is forms.BY_NAME:
        return {key: _whole(each) for key, each in value.items()}
    if form is forms.NAMES_OR_COMMAS:
        return _commas(value)
    if form in _LISTS and isinstance(value, str):
        return [value]
    if form is forms.INDICES and isinstance(value, int):
        return [value]
    return plain(value)


def _whole(value: float) -> int:
    if value != int(value):
        raise ValueError
    return int(value)


def _commas(value: Any) -> str:
    if isinstance(value, str) or any("," in each or each != each.strip() for each in value):
        raise ValueError
    return ",".join(value)


def plain(value: Any) -> Any:
    """Return a value with lists in place of tuples, and dicts of other mappings."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value
