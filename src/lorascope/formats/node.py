"""A parsed text whose every value knows where it stands: what all readers of files share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lorascope.core.recipe import Spot


class Syntax(StrEnum):
    """How a text is written, which decides how an edit of it is."""

    JSON = "json"
    YAML = "yaml"
    SHELL = "shell"


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a text.

    A command of a shell script is a mapping of its long options (dashes stripped, `-` read as
    `_`): an option given several words is a list, one word is a string, none is True.
    """

    value: Any
    """As plain Python: str, int, float, bool, None, list or dict, with everything inside."""
    spot: Spot
    """Quotes and brackets included."""
    items: tuple[Node, ...] = ()
    """Of a list, in order."""
    fields: Mapping[str, Node] = field(default_factory=dict)
    """Of a mapping: the values by key; the last one where a key stands twice."""
    keys: Mapping[str, Spot] = field(default_factory=dict)
    """Of a mapping: where each key stands."""

    @property
    def is_command(self) -> bool:
        """Whether it is a command of a shell script."""
        return "" in self.fields
