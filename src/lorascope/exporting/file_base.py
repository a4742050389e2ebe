"""A file whose base model is another one than the configuration's: is the same adapted there?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lorascope.core.errors import ExportError, LorascopeError, SpecificationError
from lorascope.core.export import Loss
from lorascope.exporting.exporter import FileBase, Merged, Outcome, ReadBase
from lorascope.matching.configured import Configured


def on_another(
    base: FileBase,
    done: Merged,
    wanted: Configured,
    read_base: ReadBase,
    outcome_on: Callable[[Configured], Outcome],
    *,
    model_key: str,
) -> Merged:
    """Return a file whose base model is called otherwise, if the same is adapted on that one.

    Args:
        base: The model that the file names.
        done: The file, and what it does on the configuration's model.
        wanted: The configuration.
        read_base: Reads the file's model.
        outcome_on: What the file does on another model.
        model_key: Key that names the model; empty where the draft says it, and so replaces it.

    Raises:
        ExportError: Something else is adapted, or the draft would replace the model.
    """
    trains = f"{base.origin} trains {base.name}"
    hint = f"Give the plan for {base.name}"
    try:
        inventory = read_base(base)
    except LorascopeError as error:
        loss = Loss(
            "base_model_name_or_path",
            f"{trains}, the configuration is for {wanted.base_model}, and whether the same is"
            f" adapted there cannot be told: {error.what}",
            f"{hint}.",
        )
        return replace(done, losses=(*done.losses, loss))
    try:
        got = outcome_on(replace(wanted, inventory=inventory))
    except SpecificationError:
        got = Outcome({})
    asked = done.outcome
    but = f"{trains}, and the configuration is for {wanted.base_model}"
    if got.adapted != asked.adapted or got.saved != asked.saved:
        same = sum(got.adapted.get(path) == at for path, at in asked.adapted.items())
        extra = len(got.adapted) - same
        raise ExportError(
            f"{but}: of its {len(asked.adapted):,} modules {same:,} would be adapted there"
            f"{f', and {extra:,} others' if extra else ''}.",
            f"{hint}{f', or change {model_key} in {base.origin}' if model_key else ''}.",
        )
    if not model_key:
        raise ExportError(f"{but}, which would take its place.", f"{hint}.")
    note = (
        f"{trains}; the configuration was worked out on {wanted.base_model}. The same modules are"
        " adapted on both."
    )
    return replace(done, notes=(*done.notes, note))
