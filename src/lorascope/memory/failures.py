"""Errors of libraries, told as a prediction that failed: where, and their first line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lorascope.build.failing import FAILURES, first_line
from lorascope.core.errors import LorascopeError, MemoryPredictionError, printable

_LONGEST_REASON = 300
REPORT = "The class may need an input besides text, or ask for values that weightless tensors lack."


@contextlib.contextmanager
def step_of(where: str, hint: str = REPORT) -> Iterator[None]:
    """Turn any error inside into a `MemoryPredictionError` that says where it came up."""
    try:
        yield
    except LorascopeError:
        raise
    except FAILURES as error:
        reason = printable(first_line(error, _LONGEST_REASON), limit=_LONGEST_REASON)
        raise MemoryPredictionError(
            f"The memory of a training step cannot be predicted: {where} fails: {reason}",
            hint,
        ) from error
