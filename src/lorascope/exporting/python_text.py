"""Values and calls as Python source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WIDTH = 100
_INDENT = "    "


def call(function: str, arguments: Mapping[str, Any], *first: str) -> str:
    """Return a call with one argument a line.

    Args:
        function: What is called, with what stands before it.
        arguments: By name.
        *first: Positional arguments, as source.
    """
    lines = [*first, *(f"{name}={value(each)}" for name, each in arguments.items())]
    return "\n".join([f"{function}(", *(f"{_INDENT}{_broken(line)}," for line in lines), ")"])


def value(given: Any) -> str:
    """Return a value's source; text in double quotes, raw if that spares backslashes."""
    match given:
        case str():
            is_raw = "\\" in given and '"' not in given and not given.endswith("\\")
            return f'r"{given}"' if is_raw and given.isprintable() else json.dumps(given)
        case list() | tuple():
            return f"[{', '.join(value(each) for each in given)}]"
        case Mapping():
            pairs = (f"{value(key)}: {value(each)}" for key, each in given.items())
            return f"{{{', '.join(pairs)}}}"
        case _:
            return repr(given)


def _broken(line: str) -> str:
    """Return a list or dictionary with one entry a line, where it is too long for one."""
    if len(line) + len(_INDENT) < _WIDTH or not line.endswith(("]", "}")):
        return line
    start = min(place for mark in "[{" if (place := line.find(mark)) >= 0)
    entries = _split(line[start + 1 : -1])
    inner = "\n".join(f"{_INDENT * 2}{entry}," for entry in entries)
    return f"{line[: start + 1]}\n{inner}\n{_INDENT}{line[-1]}"


def _split(text: str) -> list[str]:
    """Split at commas outside of quotes; entries of these lists hold no lists."""
    entries, start, quoted = [], 0, False
    for place, char in enumerate(text):
        if char == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif char == "," and not quoted:
            entries.append(text[start:place].strip())
            start = place + 1
    return [*entries, text[start:].strip()]
