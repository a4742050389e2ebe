"""Numbers as people read them."""

from __future__ import annotations

import re
from fractions import Fraction

_COUNT_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
MOST_BYTES = 1024**5
"""Largest number of bytes that `parse_bytes` takes: far beyond any device."""
_BYTE_UNITS = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def exact(count: int) -> str:
    """Write a count in full with thousands separators: `8,030,261,248`."""
    return f"{count:,}"


def short(count: int) -> str:
    """Write a count with three significant digits and a unit: `8.03 B`."""
    return _scaled(count, _COUNT_UNITS) or str(count)


def size(count: int) -> str:
    """Write a number of bytes with a binary unit: `13.0 MiB`."""
    return _scaled(count, _BYTE_UNITS) or f"{count} bytes"


_BYTES_OF_UNIT = {
    "tib": 1024**4,
    "gib": 1024**3,
    "mib": 1024**2,
    "kib": 1024,
    "tb": 10**12,
    "gb": 10**9,
    "mb": 10**6,
    "kb": 10**3,
    "b": 1,
}
_BYTES_TEXT = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,12})?) ?([A-Za-z]*)")


def parse_bytes(text: str) -> int:
    """Read a number of bytes with its unit, in either case: `24GiB`, `1.5 GB`, `800000 B`.

    A unit is required, and `G` is none: the two readings of it differ by 7 %.

    Raises:
        ValueError: It is no such thing, nothing, or more than a device can have; the message says
            what was got and what is expected.
    """
    read = _BYTES_TEXT.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"{text!r} is no amount of memory; expected {_BYTES_EXAMPLES}.")
    number, stated = read.groups()
    unit = stated.lower()
    if unit not in _BYTES_OF_UNIT:
        got = f"has the unit {stated!r}" if unit else "has no unit"
        near = f"{number}{unit.upper()}iB or {number}{unit.upper()}B"
        hint = near if unit in ("t", "g", "m", "k") else _BYTES_EXAMPLES
        raise ValueError(f"{text!r} {got}; expected {hint}.")
    count = int(Fraction(number) * _BYTES_OF_UNIT[unit])
    if count < 1:
        raise ValueError(f"{text!r} is no memory at all; expected {_BYTES_EXAMPLES}.")
    if count > MOST_BYTES:
        raise ValueError(f"{text!r} is more than any device has; expected at most 1024TiB.")
    return count


_BYTES_EXAMPLES = "for example 24GiB, 512MiB or 80GB"


def percent(part: int, whole: int) -> str:
    """Write a share in percent, never rounding something to nothing or a part to the whole."""
    if whole <= 0 or part < 0:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.01:
        return "<0.01%"
    if share < 1:
        return f"{share:.2f}%"
    if part != whole and share > 99.9:
        return ">99.9%"
    return f"{share:.1f}%"


def plain(number: float) -> str:
    """Write a float without a needless `.0`: `16`, `0.5`."""
    return f"{number:g}"


def counted(count: int, noun: str) -> str:
    """Write a count with its noun: `1 module`, `2,048 modules`."""
    return f"{exact(count)} {noun if count == 1 else noun + 's'}"


def _scaled(count: int, units: tuple[tuple[int, str], ...]) -> str | None:
    for factor, unit in units:
        if count >= factor:
            value = count / factor
            digits = 2 if value < 10 else 1 if value < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return None
