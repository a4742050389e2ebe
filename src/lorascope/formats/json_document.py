"""Parse JSON that nobody vouches for, so that every value knows where it stands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from lorascope.core.errors import RecipeError
from lorascope.core.recipe import Spot
from lorascope.formats.node import Node
from lorascope.formats.positions import Positions

LARGEST_JSON = 10_000_000
"""Characters. The largest published `adapter_config.json` (each expert by name) has under 5 MB."""

MOST_VALUES = 50_000
"""Values of one text, told by its commas. A list of each expert of DeepSeek-V3 has some 45,000."""

DEEPEST = 100
"""Lists and objects inside one another."""

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DECODER = json.JSONDecoder()
_WORDS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
}
"""The last three as Python's `json` reads them, and so PEFT."""


def parse_json(text: str, where: str) -> Node:
    """Parse one JSON value.

    Args:
        text: With or without a byte order mark, which counts in the offsets.
        where: What messages call it.

    Raises:
        RecipeError: It is too large, too deep or not JSON; the message says at which line and
            column.
    """
    if len(text) > LARGEST_JSON:
        raise RecipeError(
            f"{where} has {len(text):,} characters; expected at most {LARGEST_JSON:,}.",
            "Name a LoRA configuration, such as an adapter_config.json.",
        )
    if text.count(",") > MOST_VALUES:
        raise RecipeError(f"{where} holds more than {MOST_VALUES:,} values; expected fewer.")
    return _Parser(text, where).document()


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._positions = Positions(text)

    def document(self) -> Node:
        start = self._blank(1 if self._text.startswith("\ufeff") else 0)
        if start == len(self._text):
            raise RecipeError(f"{self._where} is empty; expected a JSON object.")
        root, end = self._value(start, 1)
        if self._blank(end) != len(self._text):
            self._fail(self._blank(end), "more text after the end of the value")
        return root

    def _value(self, at: int, depth: int) -> tuple[Node, int]:
        if depth > DEEPEST:
            self._fail(at, f"lists and objects more than {DEEPEST} deep")
        match self._text[at : at + 1]:
            case '"':
                value, end = self._string(at)
                return Node(value, self._spot(at, end)), end
            case "[":
                return self._list(at, depth)
            case "{":
                return self._object(at, depth)
            case _:
                return self._word(at)

    def _word(self, at: int) -> tuple[Node, int]:
        number = _NUMBER.match(self._text, at)
        if number is not None:
            end = number.end()
            return Node(self._number(number), self._spot(at, end)), end
        for word, value in _WORDS.items():
            if self._text.startswith(word, at):
                end = at + len(word)
                return Node(value, self._spot(at, end)), end
        return self._fail(at, f"{self._found(at)}; expected a value")

    def _number(self, number: re.Match[str]) -> int | float:
        whole, fraction, exponent = number.groups()
        if fraction is None and exponent is None:
            try:
                return int(whole)
            except ValueError:  # more digits than Python converts
                self._fail(number.start(), f"a number of {len(whole):,} digits")
        return float(number.group())

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = _DECODER.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            self._fail(error.pos, _own_words(error.msg))
        return str(value), end

    def _list(self, start: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []

        def item(at: int) -> int:
            node, end = self._value(at, depth + 1)
            items.append(node)
            return end

        end = self._sequence(start, "]", item)
        return Node([each.value for each in items], self._spot(start, end), tuple(items)), end

    def _object(self, start: int, depth: int) -> tuple[Node, int]:
        fields: dict[str, Node] = {}
        keys: dict[str, Spot] = {}

        def pair(at: int) -> int:
            if self._text[at : at + 1] != '"':
                self._fail(at, f"{self._found(at)}; expected a key in double quotes")
            key, end = self._string(at)
            colon = self._blank(end)
            if self._text[colon : colon + 1] != ":":
                self._fail(colon, f"{self._found(colon)}; expected a colon after the key")
            fields[key], after = self._value(self._blank(colon + 1), depth + 1)
            keys[key] = self._spot(at, end)
            return after

        end = self._sequence(start, "}", pair)
        value = {key: node.value for key, node in fields.items()}
        return Node(value, self._spot(start, end), fields=fields, keys=keys), end

    def _sequence(self, start: int, closing: str, read: Callable[[int], int]) -> int:
        """Read what stands between brackets, with commas; return the offset after them."""
        at = self._blank(start + 1)
        if self._text[at : at + 1] == closing:
            return at + 1
        while True:
            at = self._blank(read(at))
            if self._text[at : at + 1] == closing:
                return at + 1
            if self._text[at : at + 1] != ",":
                self._fail(at, f"{self._found(at)}; expected a comma or {closing!r}")
            comma, at = at, self._blank(at + 1)
            if self._text[at : at + 1] == closing:
                self._fail(comma, f"a comma before {closing!r}, which JSON does not allow")

    def _blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return at if found is None else found.end()

    def _spot(self, start: int, end: int) -> Spot:
        return self._positions.spot(start, end)

    def _found(self, at: int) -> str:
        return repr(self._text[at]) if at < len(self._text) else "the end of the text"

    def _fail(self, at: int, what: str) -> NoReturn:
        line, column = self._positions.line_and_column(min(at, len(self._text)))
        raise RecipeError(f"{self._where}, line {line}, column {column}: not read as JSON: {what}.")


def _own_words(message: str) -> str:
    """Return what `json` says of a string, for the middle of a sentence."""
    return (message[:1].lower() + message[1:]).removesuffix(" at").removesuffix(" starting")
