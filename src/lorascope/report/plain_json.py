"""Values as JSON has them."""

from __future__ import annotations

from typing import Any


def plain_json(value: Any) -> Any:
    """Return a value with mappings, sequences and sets turned into those of JSON."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain_json(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain_json(each) for each in value)
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    return value
