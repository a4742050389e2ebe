"""`lorascope.export`: a LoRA configuration in another tool's words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lorascope.api.configured import configured
from lorascope.core.errors import ExportError
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.recipe import Tool
from lorascope.exporting import export as write
from lorascope.matching.configured import Configured


def export(
    source: Plan | Mapping[str, Any] | str | os.PathLike[str] | Any,
    to: Trainer | str,
    *,
    model: str | Inventory | None = None,
    tool: Tool | str | None = None,
    lossy: bool = False,
) -> Exported:
    """Write the LoRA part of a tool's configuration.

    What is written is read back as the tool reads it, so that it adapts exactly what is wanted.

    Args:
        source: A `Plan`, a mapping of PEFT's fields, a `peft.LoraConfig`, a `peft.PeftModel`, or
            the path of an `adapter_config.json`, an adapter's directory, a plan's JSON or a
            training file with one configuration.
        to: The tool, see `lorascope.core.export.Trainer`.
        model: The base model; None for the one that `source` names.
        tool: Whose file `source` is; None: recognized.
        lossy: Whether to write it also where the tool would do something else than wanted, which
            `Exported.losses` then tells.

    Raises:
        ExportError: Something would be lost and `lossy` is off, or the tool cannot train the model.
        RecipeError: There is no configuration to read, or more than one.
        ModelReferenceError: No base model is given or named, or it cannot be read.
        SpecificationError: PEFT, or the tool whose file it is, would refuse the configuration.
    """
    trainer = trainer_of(to)
    wanted = wanted_of(source, model, None if tool is None else Tool(tool))
    exported = write(wanted, trainer)
    if exported.losses and not lossy:
        raise refusal(exported, wanted)
    return exported


def wanted_of(source: Any, model: str | Inventory | None, tool: Tool | None = None) -> Configured:
    """Return a source worked out on its model; one made here is called by what it is."""
    wanted = configured(source, model, tool=tool)
    if isinstance(source, Plan):
        return replace(wanted, origin=f"preset {source.preset} for {source.model.reference}")
    return wanted


def trainer_of(name: Trainer | str) -> Trainer:
    """Return the tool of a name.

    Raises:
        ExportError: There is none.
    """
    try:
        return Trainer(name)
    except ValueError:
        known = ", ".join(each.value for each in Trainer)
        raise ExportError(f"No tool is called {name!r}.", f"Known are {known}.") from None


def refusal(exported: Exported, wanted: Configured) -> ExportError:
    """Return the error that says what would be lost."""
    name = exported.to.own_name
    lost = " ".join(loss.message for loss in exported.losses)
    return ExportError(
        f"{name} {exported.version} cannot say all of {wanted.origin}: {lost}",
        "To write it without that: --lossy, or lossy=True.",
    )
