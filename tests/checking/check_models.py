"""Inventories of built-in examples and model types for the rules' tests, each built once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from lorascope import api
from lorascope.checking import Example, Subject, findings_of, subject_of
from lorascope.core.finding import Finding
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.stored import StoredTensor
from lorascope.formats import read_recipes


@cache
def inventory(model: str, task_type: str | None = None) -> Inventory:
    """Build a model on the meta device and observe it, so that dead modules are known."""
    return api.inspect(model, task_type=task_type, cache=False)


def subject(example: Example) -> Subject:
    """Make the subject of an example of a rule."""
    stored = None
    if example.tensors is not None:
        stored = tuple(StoredTensor(n, tuple(s), "F32") for n, s in example.tensors.items())
    return subject_of(
        _recipe(example),
        inventory(example.model, example.task_type),
        stored=stored,
        engines=example.engines,
    )


def _recipe(example: Example) -> Recipe:
    if isinstance(example.config, str):
        [recipe] = read_recipes(example.config, "example", example.tool)
        return recipe
    return Recipe(example.tool, "example", example.config)


def findings(example: Example) -> tuple[Finding, ...]:
    """Return all that the rules find in an example."""
    return findings_of(subject(example))


def codes(model: str, config: Mapping[str, Any] | str, tool: Tool = Tool.PEFT) -> list[str]:
    """Return the codes found in a configuration, the worst first."""
    return [finding.code for finding in findings(Example(model, config, tool))]
