"""The keys of a tool's LoRA part, and a recipe's fields read by them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Spot
from lorascope.formats.node import Node

_LARGEST = 10**12
"""Beyond any rank, alpha or number of layers."""
_LONGEST_KEY = 60
"""Characters up to which an unknown key is compared with the known ones."""
_MOST_COMPARED = 500
_NEAR = 0.8
"""Least likeness (of difflib) at which one key may be meant by another."""


@dataclass(frozen=True, slots=True)
class Form:
    """A type of value."""

    words: str
    """For messages: what is expected."""
    read: Callable[[Any, bool], Any]
    """(value, whether it is of a command) → value of the right type; raises `ValueError`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a tool."""

    name: str
    form: Form
    field: str | None = None
    """PEFT's field that it says; None for a setting that is the tool's own."""


@dataclass(slots=True)
class Reading:
    """What the keys of a text say, under PEFT's field names or the tool's own."""

    stated: dict[str, Any] = field(default_factory=dict)
    key_of: dict[str, str] = field(default_factory=dict)
    spots: dict[tuple[str, str | None], Spot] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def is_command(node: Node) -> bool:
    """Whether a mapping is a command of a shell script."""
    return "" in node.fields


def read_keys(node: Node, keys: Iterable[Key], where: str, *, section: str = "") -> Reading:
    """Read the keys that a mapping has; null counts as not there.

    Args:
        node: A mapping.
        keys: What to read, in the order in which a later one wins over an earlier one.
        where: What messages call the text.
        section: What messages put before a key, for example `model.`.

    Raises:
        RecipeError: A value has a type that the tool does not take.
    """
    reading = Reading()
    from_command = is_command(node)
    for key in keys:
        found = node.fields.get(key.name)
        if found is None or found.value is None:
            continue
        said = f"--{key.name}" if from_command else f"{section}{key.name}"
        value = _value(found, key.form, where, said, from_command=from_command)
        if key.field is None:
            reading.options[key.name] = value
            reading.spots["", key.name] = found.spot
            continue
        reading.stated[key.field] = value
        reading.key_of[key.field] = said
        _place(reading, key.field, found)
    return reading


def _value(node: Node, form: Form, where: str, said: str, *, from_command: bool) -> Any:
    try:
        return form.read(node.value, from_command)
    except ValueError:
        unfilled = isinstance(node.value, str) and "$" in node.value
        raise RecipeError(
            f"{where}, line {node.spot.line}: {said} is {node.value!r}; expected {form.words}.",
            "Write the value itself in place of the variable." if unfilled else None,
        ) from None


def _place(reading: Reading, peft_field: str, node: Node) -> None:
    """Note where a value and each of its entries stand; a later key takes the place over."""
    for old in [place for place in reading.spots if place[0] == peft_field]:
        del reading.spots[old]
    reading.spots[peft_field, None] = node.spot
    for item in node.items or (node,):
        if isinstance(item.value, str):
            reading.spots.setdefault((peft_field, item.value), item.spot)


def unknown_keys(
    node: Node,
    lora_keys: Collection[str],
    other_keys: Collection[str] = (),
    *,
    meant: Mapping[str, str] | None = None,
    is_closed: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Return the keys that the tool does not have, each with those that may be meant.

    Args:
        node: A mapping.
        lora_keys: The tool's keys of the LoRA part.
        other_keys: Further keys that the tool has and that look like one of these.
        meant: Keys of other tools → the tool's own for the same.
        is_closed: Whether the mapping can hold no other keys, so that each is named; else only
            those that are near to one of `lora_keys`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for key in list(node.keys)[:_MOST_COMPARED]:
        if key in lora_keys or key in other_keys:
            continue
        near = near_keys(key, lora_keys)
        if meant and key in meant:
            near = tuple(dict.fromkeys((meant[key], *near)))
        if near or is_closed:
            found[key] = near
    return found


def near_keys(key: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the known keys that a misspelt one may mean, the nearest first."""
    if len(key) > _LONGEST_KEY:
        return ()
    plain = key.lower().replace("-", "_")
    return tuple(get_close_matches(plain, list(known), n=3, cutoff=_NEAR))


def key_spots(node: Node, keys: Iterable[str]) -> dict[tuple[str, str | None], Spot]:
    """Return where some keys stand, as `Recipe.spots` has it."""
    return {("", key): node.keys[key] for key in keys if key in node.keys}


def text_of(node: Node, *names: str) -> str | None:
    """Return the first of some keys whose value is a text that no variable is left in."""
    for name in names:
        found = node.fields.get(name)
        if found is None or not isinstance(found.value, str):
            continue
        is_left = is_command(node) and any(mark in found.value for mark in "$`")
        return None if is_left or not found.value else found.value
    return None


def _require(is_right: bool) -> None:
    if not is_right:
        raise ValueError


def _integer(value: Any, _: bool) -> int:
    if isinstance(value, str) and len(value) <= len(str(_LARGEST)):
        value = int(value)
    _require(isinstance(value, int) and not isinstance(value, bool))
    _require(abs(value) <= _LARGEST)
    return int(value)


def _number(value: Any, _: bool) -> float:
    if isinstance(value, str):
        value = float(value)
    _require(isinstance(value, (int, float)) and not isinstance(value, bool))
    _require(abs(value) <= _LARGEST)  # neither infinite nor no number at all
    return int(value) if value == int(value) else float(value)


_TRUTHS = {
    **dict.fromkeys(("yes", "true", "t", "y", "1", "on"), True),
    **dict.fromkeys(("no", "false", "f", "n", "0", "off"), False),
}
"""Source: transformers 5.23.0, `string_to_bool` in `hf_argparser.py`; YAML's own `on` and `off`."""


def _flag(value: Any, _: bool) -> bool:
    known = _TRUTHS.get(str(value).lower()) if isinstance(value, (bool, str, int)) else None
    _require(known is not None)
    return bool(known)


def _name(value: Any, _: bool) -> str:
    _require(isinstance(value, str))
    return str(value)


def _scalar(value: Any, _: bool) -> Any:
    _require(isinstance(value, (str, int, float)))
    return value


def _list(value: Any, _: bool) -> tuple[str, ...]:
    _require(isinstance(value, list) and all(isinstance(each, str) for each in value))
    return tuple(value)


def _names(value: Any, from_command: bool) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else _list(value, from_command)


def _names_or_pattern(value: Any, from_command: bool) -> tuple[str, ...] | str:
    if isinstance(value, str) and not from_command:
        return value
    return _names(value, from_command)


INTEGER = Form("an integer", _integer)
NUMBER = Form("a number", _number)
FLAG = Form("true or false", _flag)
NAME = Form("a word", _name)
SCALAR = Form("a word or a number", _scalar)
LIST = Form("a list of names", _list)
NAMES = Form("names", _names)
"""One word counts as a list of one."""
NAMES_OR_PATTERN = Form("a list of names, or a pattern", _names_or_pattern)
"""One word is a pattern in a file, and a list of one in a command."""
