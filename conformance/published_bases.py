"""What stands for the base models of published configurations where no Hub is reachable."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from lorascope.api.bases import BaseModels
from lorascope.core.errors import LorascopeError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe

TABLE = Path(__file__).parent / "published_models.tsv"
_NONE = "-"


@dataclass(frozen=True, slots=True)
class StandIn:
    """One row of the table."""

    pattern: str
    """Shell pattern of the Hub id in lower case, or `path:` and one of the file's path."""
    model: str | None
    """Model type or built-in example; None if nothing stands for it."""
    values: str = ""
    """Of the config, as JSON; empty for the type's defaults."""
    why_not: str = ""
    """Why nothing stands for it."""


def read_table(text: str) -> tuple[StandIn, ...]:
    """Read the rows of the table, in order."""
    return tuple(_row(line) for line in text.splitlines() if line and not line.startswith("#"))


def _row(line: str) -> StandIn:
    pattern, model, *rest = line.split("\t")
    more = rest[0] if rest else ""
    if model == _NONE:
        return StandIn(pattern.casefold(), None, why_not=more)
    return StandIn(pattern.casefold(), model, values=more)


@dataclass
class StandIns:
    """Inventories of what stands for base models; each is built once."""

    folder: Path
    """Where configs are written that are no type's default."""
    rows: tuple[StandIn, ...] = field(default_factory=lambda: read_table(TABLE.read_text("utf-8")))
    _bases: BaseModels = field(default_factory=BaseModels)
    _configs: dict[StandIn, str] = field(default_factory=dict)

    def row(self, base_model: str | None, path: str) -> StandIn | None:
        """Return the first row for a base model, or else for a file that names none."""
        name = (base_model or f"path:{path}").strip().casefold()
        return next((row for row in self.rows if fnmatchcase(name, row.pattern)), None)

    def inventory(self, recipe: Recipe, path: str) -> Inventory | str:
        """Return the inventory that stands for the recipe's base model, or why there is none."""
        row = self.row(recipe.base_model, path)
        if row is None:
            return "no base model named" if recipe.base_model is None else "not in the table"
        if row.model is None:
            return row.why_not
        task = recipe.stated.get("task_type")
        try:
            return self._bases.given(self._reference(row), task if isinstance(task, str) else None)
        except LorascopeError as error:
            return str(error)

    def _reference(self, row: StandIn) -> str:
        if not row.values or row.model is None:
            return row.model or ""
        if row not in self._configs:
            config = {"model_type": row.model, **json.loads(row.values)}
            path = self.folder / f"{len(self._configs)}.json"
            path.write_text(json.dumps(config), encoding="utf-8")
            self._configs[row] = str(path)
        return self._configs[row]
