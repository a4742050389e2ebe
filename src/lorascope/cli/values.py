"""Readers of option values, for argparse's `type`."""

from __future__ import annotations

import argparse
import re

from lorascope.cli.usage import quoted

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_MOST_DIGITS = 15
_WIDEST = 10**6
"""Largest width taken, in characters."""


def positive(text: str) -> int:
    """Read a whole number above 0; the largest that an option takes is checked by what takes it."""
    if not re.fullmatch(r"[0-9]+", text) or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no whole number above 0.")
    if len(text.lstrip("0")) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"{quoted(text)} has more than {_MOST_DIGITS} digits.")
    return int(text)


def amount(text: str) -> int:
    """Read a count such as `8000000`, `10M` or `1.5B`."""
    read = re.fullmatch(r"([0-9][0-9_,]{0,30}(?:\.[0-9]{1,12})?)([kmbt]?)", text.strip().lower())
    if read is not None:
        count = round(float(re.sub("[_,]", "", read[1])) * _UNITS[read[2]])
        if count > 0:
            return count
    raise argparse.ArgumentTypeError(
        f"{quoted(text)} is no count above 0; expected for example 8000000, 10M or 1.5B."
    )


def memory(text: str) -> int:
    """Read a number of bytes such as `24GiB`."""
    from lorascope.core.numbers import parse_bytes

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def plot_file(text: str) -> str:
    """Read the name of a file to draw into, whose end says the format."""
    if re.fullmatch(r".*[^/]\.(svg|png)", text, re.DOTALL | re.IGNORECASE):
        return text
    raise argparse.ArgumentTypeError(
        f"{quoted(text)} ends with neither .svg nor .png; expected for example memory.svg."
    )


def number(text: str) -> float:
    """Read a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number.")
    return int(value) if value.is_integer() else value


def names(text: str) -> list[str]:
    """Read a list such as `q_proj,v_proj`."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise argparse.ArgumentTypeError("is empty; expected names separated by commas.")
    return found


def layers(text: str) -> frozenset[int]:
    """Read layer indices such as `5`, `0-15` or `0-3,7`."""
    from lorascope.core.layers import parse_layers

    try:
        return parse_layers(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no layer or range of layers; expected for example 5 or 0-15."
        ) from None


def width(text: str) -> int:
    """Read a line width in characters."""
    if re.fullmatch(r"[0-9]{1,7}", text) and 20 <= int(text) <= _WIDEST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{quoted(text)} is no width from 20 to {_WIDEST} characters.")
