"""Arguments and their values as messages name them, for callers and the command line alike."""

from __future__ import annotations

from lorascope.core.errors import printable

_LONGEST = 100
_MOST_BITS = 1_000
"""Of a whole number that is written out; Python refuses to write very long ones."""


def named(argument: str) -> str:
    """Return an argument with the option of the same name: `batch_size (--batch-size)`."""
    return f"{argument} (--{argument.replace('_', '-')})"


def quoted(value: object) -> str:
    """Return a value as Python writes it, safe to print and not long, whatever it is."""
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of over 300 digits"
    try:
        return printable(repr(value), _LONGEST)
    except Exception:  # the object is the caller's own, and so is its repr
        return f"a {type(value).__name__}"
