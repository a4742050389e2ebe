"""Numbers of bytes with two decimals, which all values of one table have in the same unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ByteUnit:
    """A binary unit."""

    name: str
    bytes: int


_UNITS = (ByteUnit("GiB", 1024**3), ByteUnit("MiB", 1024**2), ByteUnit("KiB", 1024))


def unit_for(largest: int) -> ByteUnit:
    """Return the unit in which the largest of some values reads well; GiB is the largest."""
    return next((unit for unit in _UNITS if abs(largest) >= unit.bytes), _UNITS[-1])


def in_unit(count: int, unit: ByteUnit) -> str:
    """Write bytes with two decimals in a unit; what is not zero is never written as zero."""
    rounded = f"{count / unit.bytes:,.2f}"
    return rounded if count == 0 or float(rounded.replace(",", "")) else "<0.01"


def byte_text(count: float) -> str:
    """Write bytes with two decimals and the unit that fits: `28.44 GiB`; a few as `12 bytes`."""
    if abs(count) < _UNITS[-1].bytes:
        return f"{count:.0f} bytes"
    unit = unit_for(int(count))
    return f"{count / unit.bytes:,.2f} {unit.name}"
