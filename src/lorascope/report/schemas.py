"""The published schemas of the JSON outputs (JSON Schema 2020-12)."""

from __future__ import annotations

from importlib.resources import files

SCHEMA_NAMES = ("inspect", "plan", "compare", "match", "models", "error")


def schema_text(name: str) -> str:
    """Return one schema as the text of its file.

    Args:
        name: One of `SCHEMA_NAMES`.
    """
    return (files(__package__) / "schema" / f"{name}.schema.json").read_text("utf-8")
