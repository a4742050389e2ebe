"""Write a draft as a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.formats.yaml_lines import yaml_lines


def yaml_text(document: Mapping[str, Any], comment: str) -> str:
    """Return a whole file, with a comment before it."""
    return "".join(f"{line}\n" for line in (comment, *yaml_lines(document)))
