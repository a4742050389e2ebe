"""Recipes of one tool, for tests, and what stands where they point."""

from __future__ import annotations

from lorascope.core.recipe import Recipe
from lorascope.formats.dialect import Dialect
from lorascope.formats.node import Node, Syntax
from lorascope.formats.shell_document import parse_shell
from lorascope.formats.yaml_document import parse_yaml


def of_command(dialect: Dialect, text: str) -> Recipe:
    """Read a script of one command, which the tool takes for its own."""
    (node,) = parse_shell(text, "train.sh")
    return _recipe(dialect, node, Syntax.SHELL, "train.sh")


def of_yaml(dialect: Dialect, text: str) -> Recipe:
    """Read a file, which the tool takes for its own."""
    return _recipe(dialect, parse_yaml(text, "train.yaml"), Syntax.YAML, "train.yaml")


def _recipe(dialect: Dialect, node: Node, syntax: Syntax, origin: str) -> Recipe:
    assert dialect.recognizes(node, syntax)
    return dialect.read(node, origin)


def written(recipe: Recipe, text: str, field: str, entry: str | None = None) -> str:
    """Return what stands in the text where a field, or one entry of it, is said to stand."""
    spot = recipe.spots[field, entry]
    return text[spot.start : spot.end]
