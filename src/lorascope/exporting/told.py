"""The exporters of the tools whose files `lorascope.formats` reads: all alike but for their words.

What each says of itself is data; its text is written here, and read back by its reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lorascope.core.errors import ExportError, SpecificationError
from lorascope.core.export import Form, Trainer
from lorascope.core.recipe import Recipe, Tool
from lorascope.exporting.exporter import (
    Draft,
    Exporter,
    FileBase,
    Merged,
    Outcome,
    ReadBase,
)
from lorascope.exporting.file_base import on_another
from lorascope.exporting.heading import heading
from lorascope.exporting.reading_back import Beside, nothing_beside, read_back
from lorascope.exporting.shell_text import shell_text
from lorascope.exporting.yaml_text import yaml_text
from lorascope.formats import read_recipes
from lorascope.formats.merge import Merge, merge
from lorascope.formats.resuming import resumed
from lorascope.matching.configured import Configured

AlsoKept = Callable[[Draft], Mapping[str, frozenset[Any] | None]]

Replaced = Callable[[Draft, str, str], str | None]
"""(draft, text of a file, its name) → the base model that the file trains, if the draft says
another one."""


def nothing_more(_: Draft) -> Mapping[str, frozenset[Any] | None]:
    """Return nothing."""
    return {}


@dataclass(frozen=True, slots=True)
class Told:
    """What one of these tools says of itself."""

    to: Trainer
    version: str
    file_name: str
    drafts: Callable[[Configured], Iterator[Draft]]
    context: Mapping[str, frozenset[Any] | None]
    """Keys that are none of LoRA's, but say whose file it is and of which model → the values with
    which a file keeps its own; None: with any."""
    owned: frozenset[str]
    """Keys of the LoRA part: those that a draft does not set are taken out of a file. A key inside
    of a section is written `section.key`."""
    command: str = ""
    """Of a shell script; empty for a tool that is given a file."""
    beside: Beside = nothing_beside
    by_peft: bool = True
    """Whether PEFT makes its adapters."""
    hints: Mapping[str, str] = field(default_factory=dict)
    model_key: str = ""
    """Key that names the base model."""
    also_kept: AlsoKept = nothing_more
    """Values of a draft's own that a file may keep, as `context` has them."""
    replaced: Replaced | None = None
    """Where the LoRA part itself says which model is trained: the one that it would replace."""
    has_heads: bool = False
    """As `Exporter.has_heads`."""


def exporter(told: Told) -> Exporter:
    """Return the exporter of a tool."""

    def write(draft: Draft, wanted: Configured) -> str:
        comment = heading(wanted, told.to, told.version)
        if told.command:
            return shell_text(told.command, draft.document, comment)
        return yaml_text(draft.document, comment)

    def adapts(draft: Draft, wanted: Configured) -> Outcome:
        text = write(draft, wanted)
        return _outcome(told, text, told.file_name, wanted)

    def merge_into(
        draft: Draft, wanted: Configured, text: str, origin: str, read_base: ReadBase
    ) -> Merged:
        return merged(told, draft, wanted, text, origin, read_base)

    return Exporter(
        to=told.to,
        version=told.version,
        form=Form.SHELL if told.command else Form.YAML,
        file_name=told.file_name,
        drafts=told.drafts,
        adapts=adapts,
        write=write,
        merge=merge_into,
        hints=told.hints,
        has_heads=told.has_heads,
    )


def _outcome(told: Told, text: str, file_name: str, wanted: Configured) -> Outcome:
    tool = Tool(told.to.value)
    return read_back(text, file_name, tool, wanted, told.beside, by_peft=told.by_peft)


def merged(
    told: Told, draft: Draft, wanted: Configured, text: str, origin: str, read_base: ReadBase
) -> Merged:
    """Put a draft into a file, and read the file back, on the base model that the file names.

    Raises:
        ExportError: The tool or PEFT refuses what the file then says, or it trains another model,
            on which something else would be adapted.
        RecipeError: The file is another tool's, or not changed automatically.
    """
    tool = Tool(told.to.value)
    kept = {**told.context, **told.also_kept(draft)}
    change = Merge(draft.document, told.owned, kept, told.model_key)
    result = merge(text, origin, tool, change)
    try:
        outcome = _outcome(told, result, origin, wanted)
    except SpecificationError as error:
        raise ExportError(
            f"{origin}: with this configuration in it, the file would be refused: {error.what}",
            error.hint,
        ) from error
    named = read_recipes(result, origin, tool)[0]
    _check_new(named)
    if told.replaced is not None:
        named = replace(named, base_model=told.replaced(draft, text, origin))
    if named.base_model is None or named.base_model == wanted.base_model:
        return Merged(result, outcome)
    base = FileBase(named.base_model, origin, named.revision, named.stated.get("task_type"))
    return on_another(
        base,
        Merged(result, outcome),
        wanted,
        read_base,
        lambda other: _outcome(told, result, origin, other),
        model_key="" if told.replaced else told.model_key,
    )


def _check_new(recipe: Recipe) -> None:
    """Make sure that a file trains a new adapter.

    Raises:
        ExportError: It goes on with one, whose own configuration counts.
    """
    found = resumed(recipe)
    if found is not None:
        key, adapter = found
        raise ExportError(
            f"{recipe.origin} resumes {adapter} ({key}): its configuration is that adapter's, and"
            " no LoRA setting of the file is used.",
            f"Take {key} out of the file, or write one of its own with -o.",
        )
