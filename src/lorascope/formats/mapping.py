"""A recipe from a mapping of PEFT's fields that stands in no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

from lorascope.core.recipe import Recipe, Spot
from lorascope.formats.node import Node
from lorascope.formats.peft import DIALECT

_NOWHERE = Spot(0, 0, 1, 1)


def recipe_of_mapping(values: Mapping[str, Any], origin: str) -> Recipe:
    """Read PEFT's fields from a mapping, such as `LoraConfig.to_dict()` gives.

    A set, which PEFT makes of a list of targets, is sorted.

    Raises:
        RecipeError: It is no LoRA configuration.
    """
    return replace(DIALECT.read(_node(dict(values)), origin), spots={})


def _node(value: Any) -> Node:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, Mapping):
        fields = {str(key): _node(each) for key, each in value.items()}
        return Node(
            {key: node.value for key, node in fields.items()},
            _NOWHERE,
            fields=fields,
            keys=dict.fromkeys(fields, _NOWHERE),
        )
    if isinstance(value, (list, tuple)):
        items = tuple(_node(each) for each in value)
        return Node([item.value for item in items], _NOWHERE, items=items)
    return Node(value, _NOWHERE)
