"""What a tool makes of a text that was written for it: read by the tool's reader, not by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lorascope.core.errors import SpecificationError
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.spec import LoraSpec
from lorascope.exporting.exporter import Outcome
from lorascope.formats import hand, read_recipes
from lorascope.matching import explain
from lorascope.matching.configured import At, Configured

Beside = Callable[[Recipe], Mapping[str, Any]]
"""PEFT's fields that a tool sets, and that its reader takes no notice of."""


def nothing_beside(_: Recipe) -> Mapping[str, Any]:
    """Return nothing."""
    return {}


def read_back(
    text: str,
    file_name: str,
    tool: Tool,
    wanted: Configured,
    beside: Beside = nothing_beside,
    *,
    by_peft: bool = True,
) -> Outcome:
    """Return what a tool does to the model with a text that holds one configuration.

    Args:
        text: What was written.
        file_name: What it is called, which also tells the syntax.
        tool: Whose it is.
        wanted: The model, and which PEFT carries it out.
        beside: What the reader takes no notice of.
        by_peft: Whether PEFT makes the adapter, which rewrites old names of experts.

    Raises:
        SpecificationError: The tool or PEFT refuses it.
        RecipeError: It cannot be read.
    """
    recipes = read_recipes(text, file_name, tool)
    if len(recipes) != 1:
        raise SpecificationError(f"{file_name} holds {len(recipes)} configurations; expected one.")
    recipe = recipes[0]
    fields = {**hand(recipe, wanted.inventory), **beside(recipe)}
    spec = LoraSpec.from_dict(fields, tool.own_name)
    inventory = wanted.inventory
    if not by_peft:
        inventory = replace(inventory, model=replace(inventory.model, expert_rewrite=None))
    found = explain(inventory, spec, peft_version=wanted.match.peft_version)
    if found.refused is not None:
        raise SpecificationError(f"PEFT refuses it: {found.refused}")
    return Outcome(
        adapted={each.path: At(each.rank, each.scaling) for each in found.targets},
        saved=frozenset(each.path for each in found.saved),
        spec=spec,
    )
