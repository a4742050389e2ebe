"""Layer indices as people write them."""

from __future__ import annotations

import re

MOST_LAYERS = 100_000
"""No layer index is above this; the deepest published models have some hundred layers."""

_RANGE = re.compile(r"\s*([0-9]{1,6})\s*(?:-\s*([0-9]{1,6})\s*)?")


def parse_layers(text: str) -> frozenset[int]:
    """Read indices and ranges such as `5`, `0-15` or `0-3,7`.

    Raises:
        ValueError: A part is neither; the message is that part.
    """
    indices: set[int] = set()
    for part in text.split(","):
        bounds = _RANGE.fullmatch(part)
        first = int(bounds[1]) if bounds else 1
        last = int(bounds[2] or first) if bounds else 0
        if not first <= last <= MOST_LAYERS:
            raise ValueError(part.strip())
        indices.update(range(first, last + 1))
    return frozenset(indices)
