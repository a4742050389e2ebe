"""The value that any command prints with `--json` when it cannot do what was asked."""

from __future__ import annotations

from typing import Any

from lorascope.core.errors import LorascopeError

_SCHEMA_VERSION = 1
"""As `core.inventory.SCHEMA_VERSION`; stated here so that an error needs no other import."""


def error_json(error: LorascopeError) -> dict[str, Any]:
    """Return an error as plain JSON values. Schema: `schema/error.schema.json`."""
    return {
        "schema_version": _SCHEMA_VERSION,
        "error": {"type": type(error).__name__, "message": error.what, "hint": error.hint},
    }
