"""Numbers as people read them."""

from __future__ import annotations

_COUNT_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
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
