"""Write keys and values as people write them in YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.formats.edit_words import Quote, word
from lorascope.formats.node import Syntax

_WIDEST = 100


def yaml_lines(document: Mapping[str, Any], indent: int = 0) -> Iterator[str]:
    """Return the lines of a mapping; a list that is short stands in brackets."""
    blanks = " " * indent
    for name, value in document.items():
        key = f"{blanks}{_key(name)}:"
        if isinstance(value, Mapping) and value:
            yield key
            yield from yaml_lines(value, indent + 2)
            continue
        line = f"{key} {word(value, Syntax.YAML)}"
        if not isinstance(value, (list, tuple)) or len(line) <= _WIDEST:
            yield line
            continue
        yield key
        yield from (f"{blanks}  - {word(each, Syntax.YAML)}" for each in value)


def _key(name: str) -> str:
    return word(name, Syntax.YAML, Quote.NONE)
