"""Drafts of the tools that hand their settings to PEFT: its fields, put into their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lorascope.core.export import Loss
from lorascope.exporting.exporter import Draft
from lorascope.exporting.saying import Words, said
from lorascope.exporting.ways import ways
from lorascope.matching.configured import Configured

Fields = Mapping[str, Any]
Context = Callable[[Configured], Mapping[str, Any]]
"""What stands before the LoRA part: base model, kind of adapter and the like."""
Adjust = Callable[[Fields, Configured], Iterator[Fields]]
"""PEFT's fields → as the tool must be given them; several to be tried, or none."""


def as_they_are(fields: Fields, _: Configured) -> Iterator[Fields]:
    """Return the fields as they are."""
    yield fields


def spoken(
    wanted: Configured,
    words: Words,
    context: Context,
    *,
    adjust: Adjust = as_they_are,
    losses: tuple[Loss, ...] = (),
    notes: tuple[str, ...] = (),
) -> Iterator[Draft]:
    """Return the drafts of a tool, in the order of `ways`."""
    before = context(wanted)
    for way in ways(wanted):
        for fields in adjust(way, wanted):
            document = said(fields, words)
            if document is not None:
                yield Draft({**before, **document}, losses, notes)


def owned_keys(words: Words, *others: str) -> frozenset[str]:
    """Return the keys of a tool's LoRA part, and further ones."""
    return frozenset((*(key.name for key in words.keys if key.field is not None), *others))
