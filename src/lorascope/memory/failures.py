"""Errors of libraries, told as a prediction that failed: where, and their first line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from lorascope.build.failing import FAILURES, first_line
from lorascope.core.errors import LorascopeError, MemoryPredictionError, printable

_LONGEST_REASON = 300
REPORT = "The class may need an input besides text, or ask for values that weightless tensors lack."

_LACKING = re.compile(r"'\w{1,80}Config' object has no attribute '(\w{1,80})'")
_LENGTH = re.compile(r"[Ss]equence length to (?:be )?(\d{1,8})\b")
"""What classes of a fixed length, such as Reformer, ask sequences to be padded to."""


@contextlib.contextmanager
def step_of(where: str, hint: str = REPORT) -> Iterator[None]:
    """Turn any error inside into a `MemoryPredictionError` that says where it came up."""
    try:
        yield
    except LorascopeError:
        raise
    except FAILURES as error:
        told = first_line(error, _LONGEST_REASON)
        reason = printable(told, limit=_LONGEST_REASON)
        raise MemoryPredictionError(
            f"The memory of a training step cannot be predicted: {where} fails: {reason}",
            _hint(told) or hint,
        ) from error


def _hint(text: str) -> str | None:
    """Return what an error asks for, where its text says so."""
    lacking = _LACKING.search(text)
    if lacking is not None:
        return f"The model's config states no {lacking[1]}: add it there."
    length = _LENGTH.search(text)
    return None if length is None else f"Try --seq-len {length[1]}."
