"""Read the keys of a file into PEFT's fields, each with its type checked and its place kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lorascope.core.errors import RecipeError, printable
from lorascope.core.recipe import Spot
from lorascope.formats.node import Node


@dataclass(frozen=True, slots=True)
class Form:
    """What the value of a key may be."""

    read: Callable[[Any], Any]
    """Returns it in PEFT's type; raises `ValueError` for another type."""
    words: str
    """For messages."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a tool, and the field of PEFT's that it sets."""

    name: str
    field: str
    form: Form


@dataclass(slots=True)
class Fields:
    """What was read: three of the attributes of a `Recipe`, under the same names."""

    stated: dict[str, Any] = field(default_factory=dict)
    key_of: dict[str, str] = field(default_factory=dict)
    spots: dict[tuple[str, str | None], Spot] = field(default_factory=dict)


def read_fields(mapping: Node, keys: Iterable[Key], where: str) -> Fields:
    """Read those of `keys` that a mapping has; one whose value is null counts as not stated.

    Raises:
        RecipeError: A value has a type that the tool does not take.
    """
    fields = Fields()
    for key in keys:
        node = mapping.fields.get(key.name)
        if node is None:
            continue
        fields.key_of[key.field] = key.name
        fields.spots |= spots_of(key.field, node)
        if node.value is not None:
            fields.stated[key.field] = read_value(node, key.name, key.form, where)
    return fields


def read_value(node: Node, key: str, form: Form, where: str) -> Any:
    """Return a value in the type that the tool takes.

    Raises:
        RecipeError: It has another; the message names file, line, key, value and type.
    """
    try:
        return form.read(node.value)
    except ValueError:
        raise RecipeError(
            f"{where}, line {node.spot.line}: {key} is {printable(repr(node.value))}; "
            f"expected {form.words}."
        ) from None


def spots_of(peft_field: str, node: Node) -> dict[tuple[str, str | None], Spot]:
    """Return where a value stands, and each entry of a list or key of a mapping in it.

    An entry that stands there twice has its first place.
    """
    spots: dict[tuple[str, str | None], Spot] = {}
    for item in node.items:
        spots.setdefault((peft_field, str(item.value)), item.spot)
    for name, spot in node.keys.items():
        spots[peft_field, name] = spot
    spots[peft_field, None] = node.spot
    return spots


def read_options(mapping: Node, names: Sequence[str]) -> dict[str, Any]:
    """Return those of the tool's own settings that a file states, as it states them."""
    stated = {name: mapping.fields[name].value for name in names if name in mapping.fields}
    return {name: value for name, value in stated.items() if value is not None}


def text_of(mapping: Node, key: str, where: str) -> str | None:
    """Return the text under a key, None if it is not there or empty.

    Raises:
        RecipeError: It is something else than text.
    """
    node = mapping.fields.get(key)
    if node is None or node.value is None:
        return None
    return str(read_value(node, key, TEXT, where)) or None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check(value: Any, is_right: bool) -> Any:
    if not is_right:
        raise ValueError
    return tuple(value) if isinstance(value, list) else value


def _whole(value: Any) -> int:
    """A whole number, also as text or as 16.0: what pydantic makes an int of."""
    if isinstance(value, str):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(_check(value, _is_number(value) and isinstance(value, int)))


def _strict_whole(value: Any) -> Any:
    return _check(value, _is_number(value) and isinstance(value, int))


def _real(value: Any) -> Any:
    """A number, also as text: YAML 1.1 reads 1e-1 so."""
    return float(value) if isinstance(value, str) else _check(value, _is_number(value))


_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


def _flag(value: Any) -> bool:
    word = str(value).lower() if isinstance(value, (str, bool, int)) else ""
    return bool(_check(word in _TRUE, word in _TRUE | _FALSE))


def is_on(value: Any) -> bool:
    """Whether an option is set to true, in one of the spellings that pydantic takes."""
    return str(value).lower() in _TRUE


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, kind) and not isinstance(each, bool) for each in value
    )


def _names(value: Any) -> Any:
    return _check(value, _is_list_of(value, str))


def _names_or_text(value: Any) -> Any:
    return _check(value, isinstance(value, str) or _is_list_of(value, str))


def _indices(value: Any) -> Any:
    return _check(value, _is_list_of(value, int))


def _by_name(value: Any) -> Mapping[str, int]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError
    return {key: _whole(each) for key, each in value.items()}


def _tokens(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _indices(each) for key, each in value.items()}
    return _indices(value)


def _ranges(value: Any) -> Any:
    pairs = _check(value, isinstance(value, list))
    return tuple(_check(pair, _is_list_of(pair, int) and len(pair) == 2) for pair in pairs)


def _flag_or_text(value: Any) -> Any:
    return _check(value, isinstance(value, (bool, str)))


def _text(value: Any) -> Any:
    return _check(value, isinstance(value, str))


TEXT = Form(_text, "text")
FLAG = Form(_flag, "true or false")
FLAG_OR_TEXT = Form(_flag_or_text, "true, false or the name of an initialization")
WHOLE = Form(_whole, "a whole number")
STRICT_WHOLE = Form(_strict_whole, "a whole number without quotes")
REAL = Form(_real, "a number")
NAMES = Form(_names, "a list of names")
NAMES_OR_TEXT = Form(_names_or_text, "a list of names, or text")
INDICES = Form(_indices, "a list of whole numbers")
BY_NAME = Form(_by_name, "a mapping of pattern to whole number")
TOKENS = Form(_tokens, "a list of token indices, or a mapping of layer name to such a list")
RANGES = Form(_ranges, "a list of [start, end] pairs")
ANYTHING = Form(lambda value: tuple(value) if isinstance(value, list) else value, "anything")
