"""`lorascope.export`: a LoRA configuration in another tool's words."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lorascope.api.configured import configured
from lorascope.api.inspecting import inventory_for
from lorascope.api.plans import plan
from lorascope.core.errors import ExportError, UnnamedModelError
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.recipe import Tool
from lorascope.exporting import export as write
from lorascope.exporting.exporters import exporter_of
from lorascope.matching.configured import Configured

_FILES = frozenset({".json", ".yaml", ".yml", ".sh", ".bash"})
"""Ends of names that are no models'."""


def export(
    source: Plan | Mapping[str, Any] | str | os.PathLike[str] | Any,
    to: Trainer | str,
    *,
    model: str | Inventory | None = None,
    tool: Tool | str | None = None,
    lossy: bool = False,
    **plan_options: Any,
) -> Exported:
    """Write the LoRA part of a tool's configuration.

    What is written is read back as the tool reads it, so that it adapts exactly what is wanted.

    Args:
        source: A `Plan`, a mapping of PEFT's fields, a `peft.LoraConfig`, a `peft.PeftModel`, or
            the path of an `adapter_config.json`, an adapter's directory, a plan's JSON or a
            training file with one configuration; or a model, for which a plan is made: an
            `Inventory`, or a reference that is no such path.
        to: The tool, see `lorascope.core.export.Trainer`.
        model: The base model; None for the one that `source` names.
        tool: Whose file `source` is; None: recognized.
        lossy: Whether to write it also where the tool would do something else than wanted, which
            `Exported.losses` then tells.
        plan_options: How a model is to be adapted: what `lorascope.plan` takes beside it.

    Raises:
        ExportError: Something would be lost and `lossy` is off, the tool cannot train the model, or
            plan options are given with a configuration.
        PlanError: No plan can be made for a model.
        RecipeError: There is no configuration to read, or more than one.
        ModelReferenceError: No base model is given or named, or it cannot be read.
        SpecificationError: PEFT, or the tool whose file it is, would refuse the configuration.
    """
    trainer = trainer_of(to)
    if _is_model(source, model, tool, plan_options):
        wanted = planned_for(inventory_for(cast(Any, source)), trainer, **plan_options)
    elif plan_options:
        given = ", ".join(plan_options)
        raise ExportError(
            f"{given} is given with a configuration, which says already what to adapt.",
            "Name a model to plan for, or leave it out.",
        )
    else:
        wanted = _read(source, model, None if tool is None else Tool(tool))
    exported = write(wanted, trainer)
    if exported.losses and not lossy:
        raise refusal(exported, wanted)
    return exported


def _is_model(source: Any, model: object, tool: object, options: Mapping[str, Any]) -> bool:
    """Whether a source is a model to plan for, and no configuration."""
    if isinstance(source, Inventory):
        return True
    if model is not None or tool is not None or not isinstance(source, (str, os.PathLike)):
        return False
    return bool(options) or not (os.path.lexists(source) or Path(source).suffix in _FILES)


def _read(source: Any, model: str | Inventory | None, tool: Tool | None) -> Configured:
    try:
        return wanted_of(source, model, tool)
    except UnnamedModelError as error:
        raise UnnamedModelError(error.what, "Give it: lorascope.export(…, model=…).") from error


def planned_for(inventory: Inventory, to: Trainer, **options: Any) -> Configured:
    """Return a plan for a model, with a dropout that the tool has where none is asked for.

    Args:
        inventory: The model's.
        to: The tool that it is written for.
        options: What `lorascope.plan` takes.

    Raises:
        PlanError: As `lorascope.plan`.
    """
    is_without = options.get("dropout") is None and not exporter_of(to).has_dropout
    made = plan(inventory, **({**options, "dropout": 0.0} if is_without else options))
    return (
        without_dropout(wanted_of(made, inventory), to)
        if is_without
        else wanted_of(made, inventory)
    )


def without_dropout(wanted: Configured, to: Trainer) -> Configured:
    """Return a configuration that says why it has no dropout."""
    return replace(wanted, choices=(f"The plan has no dropout, since {to.own_name} has none.",))


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
        "To write the rest all the same: --lossy, or lossy=True.",
    )
