"""What is told of one tool's way to say a LoRA configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats.node import Node, Syntax

Read = Callable[[Node, str], Recipe]
"""(parsed text, origin) → recipe; raises `RecipeError`."""
Hand = Callable[[Recipe, Inventory], Mapping[str, Any]]
"""(recipe, model) → the fields that the tool hands to PEFT on this model."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One tool."""

    tool: Tool
    version: str
    """Release whose source was read."""
    syntaxes: tuple[Syntax, ...]
    """In which it can be written."""
    recognizes: Callable[[Node, Syntax], bool]
    """Whether a parsed text is of this tool: by keys that no other tool has."""
    read: Read
    hand: Hand
