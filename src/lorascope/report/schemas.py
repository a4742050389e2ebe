"""The published schemas of the JSON outputs (JSON Schema 2020-12)."""

from __future__ import annotations

SCHEMA_NAMES = (
    "inspect",
    "plan",
    "compare",
    "match",
    "check",
    "diff",
    "adapt",
    "export",
    "models",
    "error",
)


def schema_text(name: str) -> str:
    """Return one schema as the text of its file.

    Args:
        name: One of `SCHEMA_NAMES`.
    """
    from importlib.resources import files  # not on the way to --help

    return (files(__package__) / "schema" / f"{name}.schema.json").read_text("utf-8")
