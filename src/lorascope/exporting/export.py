"""Write a configuration for a tool: the first way of saying it that the tool reads back exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lorascope.core.errors import ExportError, LorascopeError, ModelReferenceError
from lorascope.core.export import Exported, Loss, Trainer
from lorascope.core.inventory import Inventory
from lorascope.exporting.differences import losses_of
from lorascope.exporting.exporter import Draft, Exporter, FileBase, Merged, Outcome, ReadBase
from lorascope.exporting.exporters import exporter_of
from lorascope.exporting.idle import idle
from lorascope.exporting.left_out import left_out
from lorascope.matching.configured import Configured

_HEADS = frozenset({"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"})
"""Task types with another head than a language model's."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """A draft, and what would be lost with it."""

    draft: Draft
    losses: tuple[Loss, ...]

    @property
    def cost(self) -> tuple[int, int]:
        return len(self.losses), sum(len(loss.paths) for loss in self.losses)


def export(wanted: Configured, to: Trainer) -> Exported:
    """Return the LoRA part of a tool's configuration, and what it does not say.

    Raises:
        ExportError: The tool cannot train the model, or takes none of what is wanted.
    """
    exporter = exporter_of(to)
    chosen = _chosen(exporter, wanted, lambda draft: exporter.adapts(draft, wanted))
    more = left_out(wanted, to)
    return _exported(exporter, exporter.write(chosen.draft, wanted), chosen, wanted, more)


def unread(_: FileBase) -> Inventory:
    """Read no base model but the configuration's own.

    Raises:
        ModelReferenceError: Always.
    """
    raise ModelReferenceError("It is not read.")


def export_into(
    wanted: Configured, to: Trainer, text: str, origin: str, read_base: ReadBase = unread
) -> Exported:
    """Return a file of the tool's with the configuration in place of the one that it has.

    Comments, order and all other settings stay.

    Args:
        wanted: What the tool should do.
        to: The tool.
        text: Of the file.
        origin: Its path as the user named it.
        read_base: Reads the base model that it names, where that is called otherwise.

    Raises:
        ExportError: As `export`; or the file trains another model, is another tool's, or written in
            a way that is not changed automatically.
        RecipeError: The file cannot be read.
    """
    exporter = exporter_of(to)
    merge = exporter.merge
    if merge is None:
        raise ExportError(
            f"Files of {to.own_name} are not changed automatically: --into takes those of"
            f" {_merging()}.",
            "-o writes a file of its own to copy from.",
        )
    chosen = _chosen(exporter, wanted, lambda draft: exporter.adapts(draft, wanted))
    merged: Merged = merge(chosen.draft, wanted, text, origin, read_base)
    losses = (*_losses(exporter, merged.outcome, chosen.draft, wanted), *merged.losses)
    draft = Draft(chosen.draft.document, notes=(*chosen.draft.notes, *merged.notes))
    more = left_out(wanted, to, text)
    return _exported(exporter, merged.text, _Tried(draft, losses), wanted, more)


def _exported(
    exporter: Exporter, text: str, tried: _Tried, wanted: Configured, more: tuple[str, ...]
) -> Exported:
    of_model, of_draft = wanted.inventory.model.notes, tried.draft.notes
    notes = (*of_model, *wanted.choices, *idle(wanted), *of_draft, *more)
    return Exported(
        to=exporter.to,
        version=exporter.version,
        form=exporter.form,
        file_name=exporter.file_name,
        text=text,
        losses=tried.losses,
        notes=tuple(dict.fromkeys(notes)),
    )


def _chosen(exporter: Exporter, wanted: Configured, adapts: Callable[[Draft], Outcome]) -> _Tried:
    """Return the first draft without losses, or else the one with the fewest."""
    best: _Tried | None = None
    refusal: LorascopeError | None = None
    for draft in _distinct(exporter.drafts(wanted)):
        try:
            losses = _losses(exporter, adapts(draft), draft, wanted)
        except LorascopeError as error:
            refusal = refusal or error
            continue
        tried = _Tried(draft, losses)
        if not losses:
            return tried
        if best is None or tried.cost < best.cost:
            best = tried
    if best is not None:
        return best
    name = exporter.to.own_name
    if refusal is None:
        raise ExportError(f"{name} can say nothing of {wanted.origin}.")
    raise ExportError(
        f"{wanted.origin} cannot be written for {name}: {refusal.what}", refusal.hint
    ) from refusal


def _distinct(drafts: Iterator[Draft]) -> Iterator[Draft]:
    seen: set[str] = set()
    for draft in drafts:
        said = repr((draft.document, draft.losses))
        if said not in seen:
            seen.add(said)
            yield draft


def _losses(
    exporter: Exporter, outcome: Outcome, draft: Draft, wanted: Configured
) -> tuple[Loss, ...]:
    found = (*losses_of(outcome, wanted, exporter.to, exporter.hints), *draft.losses)
    is_told = exporter.has_heads or any(loss.what == "task_type" for loss in found)
    return found if is_told else (*found, *_head(exporter, wanted))


def _head(exporter: Exporter, wanted: Configured) -> tuple[Loss, ...]:
    """Return that a head for scores is not trained, by a tool that trains language models."""
    task = wanted.spec.task_type or wanted.inventory.model.task_type
    if task not in _HEADS:
        return ()
    return (
        Loss(
            "task_type",
            f"{exporter.to.own_name} trains a causal language model here, and {task} is planned,"
            " with a head of its own.",
            exporter.hints.get("task_type", ""),
        ),
    )


def _merging() -> str:
    return ", ".join(each.own_name for each in Trainer if exporter_of(each).merge is not None)
