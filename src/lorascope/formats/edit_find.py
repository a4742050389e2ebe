"""Find a value of a document by where it stands, and put another in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lorascope.core.recipe import Spot
from lorascope.formats.edit_lines import UnfixableError
from lorascope.formats.node import Node


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the document."""

    node: Node
    path: tuple[str | int, ...]
    key: Spot | None
    """Where its key stands; None for an entry of a list."""


def value_at(root: Node, spot: Spot) -> Found | None:
    """Return the first value that stands at a place."""
    left: list[Found] = [Found(root, (), None)]
    while left:
        found = left.pop()
        node, path = found.node, found.path
        if node.spot == spot and path:
            return found
        inside = [Found(item, (*path, at), None) for at, item in enumerate(node.items)]
        inside += [Found(each, (*path, key), node.keys[key]) for key, each in node.fields.items()]
        left += reversed(inside)
    return None


def with_value(value: Any, path: Sequence[str | int], new: Any) -> Any:
    """Return a value with another at the end of a path in it."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(first, int):
        return [*value[:first], with_value(value[first], rest, new), *value[first + 1 :]]
    if not isinstance(value, dict) or first not in value:
        raise UnfixableError("its key is no text")
    return {
        key: with_value(each, rest, new) if key == first else each for key, each in value.items()
    }
