"""Write single values, so that they are read again as what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lorascope.formats.node import Syntax
from lorascope.formats.yaml_document import is_text_without_quotes


class Quote(StrEnum):
    """How a text is quoted."""

    NONE = ""
    SINGLE = "'"
    DOUBLE = '"'


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?:, ?[A-Za-z_][A-Za-z0-9_./-]*)*")
"""Text that needs no quotes in YAML, outside of brackets also with commas."""


def quote_of(written: str) -> Quote:
    """Return how a value of a file is quoted."""
    for quote in (Quote.SINGLE, Quote.DOUBLE):
        if len(written) > 1 and written[0] == written[-1] == quote:
            return quote
    return Quote.NONE


def word(value: Any, syntax: Syntax, quote: Quote = Quote.NONE) -> str:
    """Write one value on one line.

    Args:
        value: Text, a number, true, false, None, or a list or mapping of such.
        syntax: JSON or YAML.
        quote: For text in YAML. Text that needs quotes has them anyway.
    """
    if isinstance(value, str):
        return _text(value, syntax, quote)
    if isinstance(value, (list, tuple)):
        entries = (_in_brackets(each, syntax, quote) for each in value)
        return f"[{', '.join(entries)}]"
    if isinstance(value, Mapping):
        pairs = (
            f"{_in_brackets(str(key), syntax, Quote.DOUBLE)}: {_in_brackets(each, syntax, quote)}"
            for key, each in value.items()
        )
        return f"{{{', '.join(pairs)}}}"
    return _other(value, syntax)


def _in_brackets(value: Any, syntax: Syntax, quote: Quote) -> str:
    has_comma = isinstance(value, str) and "," in value
    return word(value, syntax, Quote.SINGLE if has_comma and not quote else quote)


def _text(value: str, syntax: Syntax, quote: Quote) -> str:
    if syntax is Syntax.JSON or quote is Quote.DOUBLE:
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if quote is Quote.NONE and _PLAIN.fullmatch(value) and is_text_without_quotes(value):
        return value
    if not value.isprintable():
        return json.dumps(value)
    return "'" + value.replace("'", "''") + "'"


def _other(value: Any, syntax: Syntax) -> str:
    written = json.dumps(value)
    if not isinstance(value, float):
        return written
    mantissa, exponent, power = written.partition("e")
    if syntax is Syntax.YAML and exponent and "." not in mantissa:
        return f"{mantissa}.0e{power}"  # YAML 1.1 reads 1e-05 as text
    return written
