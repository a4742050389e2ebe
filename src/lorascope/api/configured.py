"""A LoRA configuration of any form, worked out on its base model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorascope.api.bases import BaseModels
from lorascope.api.checks import CheckRequest, check_file, check_recipe, config_file, recipe_of
from lorascope.checking.checked import Checked
from lorascope.checking.resuming import resume_notes
from lorascope.core.errors import ModelReferenceError, RecipeError, SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.core.recipe import Tool
from lorascope.formats import hand, tools_of
from lorascope.matching.configured import Configured
from lorascope.source.local import ADAPTER_FILE


def configured(
    source: Plan | Mapping[str, Any] | str | os.PathLike[str] | Any,
    model: str | Inventory | None = None,
    *,
    tool: Tool | None = None,
    bases: BaseModels | None = None,
) -> Configured:
    """Work one LoRA configuration out on its base model.

    Args:
        source: A `Plan`, a mapping of PEFT's fields, a `peft.LoraConfig`, a `peft.PeftModel`, or
            the path of an `adapter_config.json`, an adapter's directory, a plan's JSON or a
            training file with one configuration.
        model: The base model; None for the one that `source` names.
        tool: Whose file it is; None: recognized.
        bases: Base models that are read already.

    Raises:
        RecipeError: There is no configuration to read, or more than one.
        ModelReferenceError: No base model is given or named, or it cannot be read.
        SpecificationError: PEFT, or the tool whose file it is, would refuse the configuration.
    """
    request = CheckRequest(
        model=source.model.reference if model is None and isinstance(source, Plan) else model,
        tool=tool,
        rules=(),
        bases=BaseModels() if bases is None else bases,
    )
    if isinstance(source, (str, os.PathLike)):
        return of_checked(only_checked(Path(source), request))
    fields = source.adapter_config if isinstance(source, Plan) else source
    return of_checked(check_recipe(recipe_of(fields), Path(), request))


def of_checked(checked: Checked) -> Configured:
    """Return what a check has worked out.

    Raises:
        LorascopeError: The base model is not known, or the configuration is refused on it.
    """
    subject = checked.subject
    recipe = subject.recipe
    if checked.problem is not None:
        raise checked.problem
    if subject.inventory is None:
        raise ModelReferenceError(
            subject.ignored_sizes or f"The base model of {recipe.origin} is not known."
        )
    refused = subject.refused or subject.unmodelled
    if refused is not None or subject.match is None:
        who = recipe.tool.own_name if subject.refused_by_tool else "PEFT"
        verb = "refuses" if subject.refused is not None else "may take, but lorascope cannot model,"
        raise SpecificationError(
            f"{recipe.origin}: {who} {verb} this configuration: {refused}",
            "`lorascope check` says more.",
        )
    model = subject.inventory.model
    return Configured(
        origin=recipe.origin,
        inventory=subject.inventory,
        fields=dict(hand(recipe, subject.inventory)),
        match=subject.match,
        base_model=recipe.base_model or model.base_model or model.reference,
        revision=recipe.revision or model.revision,
        stored=subject.stored,
        notes=checked.notes,
        choices=resume_notes(recipe),
        tool=recipe.tool,
        options=recipe.options,
    )


def only_checked(path: Path, request: CheckRequest) -> Checked:
    """Check the one configuration of a file, or of the adapter in a directory.

    Raises:
        RecipeError: There is no configuration to read, or more than one, or it is another tool's.
    """
    config = config_file(path)
    if os.path.isdir(config):  # noqa: PTH112 - any text may be a name
        raise RecipeError(
            f"The directory {path} holds no {ADAPTER_FILE}.",
            "Name the directory of an adapter, or a training file.",
        )
    file = check_file(config, request)
    if request.tool is not None and file.text is not None:
        whose = tools_of(file.text, file.path)
        if whose and request.tool not in whose:
            names = " and ".join(each.own_name for each in whose)
            raise RecipeError(
                f"{file.path} is a file of {names}; expected one of {request.tool.own_name}.",
                "Name another file, or leave out whose it is.",
            )
    if file.error is not None:
        raise file.error
    if len(file.checks) != 1:
        names = ", ".join(each.recipe.name for each in file.checks)
        raise RecipeError(
            f"{file.path} holds {len(file.checks)} configurations ({names}); expected one.",
            "Put the one that is meant into a file of its own.",
        )
    return file.checks[0]
