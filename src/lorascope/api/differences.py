"""`lorascope.diff`: what differs between two LoRA configurations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lorascope.api.bases import BaseModels
from lorascope.api.configured import configured
from lorascope.api.inspecting import inventory_for
from lorascope.core.errors import RecipeError, UnnamedModelError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.recipe import Tool
from lorascope.matching.configured import Configured
from lorascope.matching.difference import Difference, difference

if TYPE_CHECKING:
    from torch import nn


def diff(
    a: Plan | Mapping[str, Any] | str | os.PathLike[str] | Any,
    b: Plan | Mapping[str, Any] | str | os.PathLike[str] | Any,
    model: str | os.PathLike[str] | nn.Module | Inventory | None = None,
    *,
    tool_a: Tool | str | None = None,
    tool_b: Tool | str | None = None,
    bases: BaseModels | None = None,
) -> Difference:
    """Say what differs between two LoRA configurations in what they do, however they are spelled.

    Args:
        a: A `Plan`, a mapping of PEFT's fields, a `peft.LoraConfig`, a `peft.PeftModel`, or the
            path of an `adapter_config.json`, an adapter's directory, a plan's JSON or a training
            file with one configuration.
        b: The other.
        model: The base model for both; None for the one that each names, or that the one names
            where the other names none.
        tool_a: Whose file `a` is; None: recognized.
        tool_b: Whose file `b` is.
        bases: Base models that are read already.

    Raises:
        RecipeError: There is no configuration to read, or more than one.
        ModelReferenceError: No base model is given or named, or it cannot be read.
        SpecificationError: PEFT, or the tool whose file it is, would refuse a configuration.
        IncomparableError: The two are for models of different modules.
    """
    known = model if model is None or isinstance(model, str) else inventory_for(model)
    bases = BaseModels() if bases is None else bases
    sides = {name: (source, tool) for name, source, tool in (("A", a, tool_a), ("B", b, tool_b))}
    found = {name: _named(name, *side, known, bases) for name, side in sides.items()}
    borrowed = next((each.inventory for each in found.values() if each is not None), None)
    if borrowed is None:
        raise UnnamedModelError(
            "Neither A nor B names a base model.",
            "Name it: lorascope diff A B MODEL, or model=… in Python.",
        )
    notes: list[str] = []
    done: list[Configured] = []
    for name, each in found.items():
        if each is None:
            notes.append(f"{name} names no base model; that of the other is taken.")
            each = _worked_out(name, *sides[name], borrowed, bases)
        # No tensor is compared, so what is missing of tensors is of no concern.
        notes += [f"{name}: {note}" for note in each.notes if "tensors" not in note]
        done.append(each)
    return difference(done[0], done[1], tuple(notes))


def _named(
    name: str,
    source: Any,
    tool: Tool | str | None,
    model: str | Inventory | None,
    bases: BaseModels,
) -> Configured | None:
    """Work a configuration out; None if it names no model and none is given."""
    try:
        return _worked_out(name, source, tool, model, bases)
    except UnnamedModelError:
        return None


def _worked_out(
    name: str,
    source: Any,
    tool: Tool | str | None,
    model: str | Inventory | None,
    bases: BaseModels,
) -> Configured:
    if model is None and hasattr(source, "peft_config"):  # a PeftModel is on its base model
        model = inventory_for(source)
    try:
        return configured(source, model, tool=None if tool is None else Tool(tool), bases=bases)
    except RecipeError as error:
        side = name.lower()
        option = f"--format-{side} (tool_{side} in Python)"
        raise type(error)(error.what, (error.hint or "").replace("--format", option)) from None
