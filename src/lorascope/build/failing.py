"""Errors of code that is not ours, which may be of any kind and say anything or nothing."""

from __future__ import annotations

FAILURES = (Exception, SystemExit, GeneratorExit)
"""What a model's code may raise; only an interrupt is left to go through."""


def first_line(error: BaseException, limit: int = 120) -> str:
    """Return the error's class and the first line of its message, if it can be had."""
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # an error's own words may fail as well
        lines = []
    return f"{type(error).__name__}: {lines[0][:limit] if lines else 'no message'}"
