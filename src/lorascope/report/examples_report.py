"""The list of built-in examples, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.core.numbers import short
from lorascope.report.layout import Column, Row, paragraph, table
from lorascope.report.lines import Line, line


class ExampleLike(Protocol):
    """What this report reads of a built-in example."""

    @property
    def name(self) -> str:
        """What the user types."""

    @property
    def hub_id(self) -> str:
        """Where it is published."""

    @property
    def about(self) -> str:
        """What is particular about it."""

    @property
    def source(self) -> str:
        """Where its figures are published."""

    @property
    def parameters(self) -> int:
        """Parameters of the whole model."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The published config."""


def examples_json(examples: Sequence[ExampleLike]) -> dict[str, Any]:
    """Return the examples as plain JSON values. Schema: `schema/models.schema.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "models": [
            {
                "name": example.name,
                "hub_id": example.hub_id,
                "model_type": example.config.get("model_type"),
                "parameters": example.parameters,
                "about": example.about,
                "source": example.source,
            }
            for example in examples
        ],
    }


def examples_text(examples: Sequence[ExampleLike], width: int) -> list[Line]:
    """Lay out the examples as a table."""
    columns = (
        Column("name", style="bold cyan"),
        Column("parameters", right=True, label=False),
        Column("model type", label=False),
        Column("published as", label=False),
        Column("what is particular", label=False, style="dim"),
    )
    rows = [
        Row(
            (
                example.name,
                short(example.parameters),
                str(example.config.get("model_type", "")),
                example.hub_id,
                example.about,
            )
        )
        for example in examples
    ]
    return [
        *table(columns, rows, width),
        line(""),
        *paragraph("Use a name wherever a MODEL is asked for.", width, style="dim"),
    ]
