"""The types of values that tools take: how each is read, and what messages call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LARGEST = 10**12
"""Beyond any rank, alpha or number of layers; larger numbers overflow what is computed of them."""

_TRUTHS: Mapping[str, bool] = {
    **dict.fromkeys(("yes", "true", "t", "y", "1", "on"), True),
    **dict.fromkeys(("no", "false", "f", "n", "0", "off"), False),
}
"""Source: transformers 5.23.0, `string_to_bool` in `hf_argparser.py`; pydantic takes the same, and
`on` and `off`."""


@dataclass(frozen=True, slots=True)
class Form:
    """A type of value."""

    words: str
    """For messages: what is expected."""
    read: Callable[[Any], Any]
    """Returns the value in the right type, a list as a tuple; raises `ValueError` for another."""
    in_command: Callable[[Any], Any] | None = None
    """The same for the words of a command; None where it does not differ."""


def is_on(value: Any) -> bool:
    """Whether an option is set to true, in one of the spellings that tools take."""
    return _TRUTHS.get(str(value).lower(), False)


def _check(value: Any, is_right: bool) -> Any:
    if not is_right:
        raise ValueError
    return tuple(value) if isinstance(value, list) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list_of(value: Any, is_right: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and all(map(is_right, value))


def _strict_whole(value: Any) -> Any:
    return _check(value, _is_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        value = int(_check(value, len(value) <= len(str(_LARGEST))))
    return _strict_whole(value)


def _loose_whole(value: Any) -> Any:
    return _whole(int(value) if isinstance(value, float) and value.is_integer() else value)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        value = float(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    _check(value, is_number and abs(value) <= _LARGEST)  # neither infinite nor no number at all
    return int(value) if value == int(value) else value


def _flag(value: Any) -> Any:
    known = _TRUTHS.get(str(value).lower()) if isinstance(value, (bool, str, int)) else None
    return _check(known, known is not None)


def _flag_or_text(value: Any) -> Any:
    return _check(value, isinstance(value, (bool, str)))


def _text(value: Any) -> Any:
    return _check(value, _is_text(value))


def _text_or_number(value: Any) -> Any:
    return _check(value, isinstance(value, (str, int, float)))


def _names(value: Any) -> Any:
    return _check(value, _is_list_of(value, _is_text))


def _name_or_names(value: Any) -> Any:
    return (value,) if _is_text(value) else _names(value)


def _names_or_text(value: Any) -> Any:
    return value if _is_text(value) else _names(value)


def _indices(value: Any) -> Any:
    return _check(value, _is_list_of(value, _is_whole))


def _by_name(value: Any) -> Any:
    _check(value, isinstance(value, dict) and all(map(_is_text, value)))
    return {key: _loose_whole(each) for key, each in value.items()}


def _tokens(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _indices(each) for key, each in value.items()}
    return _indices(value)


def _ranges(value: Any) -> Any:
    pairs = _check(value, isinstance(value, list))
    return tuple(_check(_indices(pair), len(pair) == 2) for pair in pairs)


def _anything(value: Any) -> Any:
    return _check(value, is_right=True)


def _word(value: Any) -> Any:
    """A word of a command as YAML would read it."""
    if not _is_text(value):
        return _anything(value)
    try:
        return _whole(value)
    except ValueError:
        return {"true": True, "false": False}.get(value.lower(), value)


ANYTHING = Form("anything", _anything, _word)
TEXT = Form("text", _text)
TEXT_OR_NUMBER = Form("text or a number", _text_or_number)
FLAG = Form("true or false", _flag)
FLAG_OR_TEXT = Form("true, false or the name of an initialization", _flag_or_text)
WHOLE = Form("a whole number", _whole)
"""Also as text."""
LOOSE_WHOLE = Form("a whole number", _loose_whole)
"""Also as text or as 16.0: what pydantic makes an int of."""
STRICT_WHOLE = Form("a whole number without quotes", _strict_whole, _whole)
NUMBER = Form("a number", _number)
"""Also as text: YAML 1.1 reads 1e-1 so."""
NAMES = Form("a list of names", _names)
NAME_OR_NAMES = Form("a name or a list of names", _name_or_names)
"""One name counts as a list of one."""
NAMES_OR_TEXT = Form("a list of names, or text", _names_or_text, _name_or_names)
"""Text is a pattern, or names with commas between; one word of a command is a list of one."""
NAMES_OR_COMMAS = Form("a list of names, or names with commas between", _names_or_text, _text)
"""A command takes the latter alone."""
INDICES = Form("a list of whole numbers", _indices)
BY_NAME = Form("a mapping of pattern to whole number", _by_name)
TOKENS = Form("a list of token indices, or a mapping of layer name to such a list", _tokens)
RANGES = Form("a list of [start, end] pairs", _ranges)
