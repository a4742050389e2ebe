"""The value that `lorascope export --json` prints. Schema: `schema/export.schema.json`."""

from __future__ import annotations

from typing import Any

from lorascope.core.export import Exported
from lorascope.core.inventory import SCHEMA_VERSION, ModelInfo
from lorascope.report.json_inventory import model_json


def export_json(
    exported: Exported, model: ModelInfo, *, refused: bool = False, written: str | None = None
) -> dict[str, Any]:
    """Return what was exported as plain JSON values.

    Args:
        exported: What was.
        model: The base model.
        refused: Whether nothing is written because something would be lost.
        written: Path of the file that was written.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(model),
        "to": exported.to.value,
        "version": exported.version,
        "form": exported.form.value,
        "file_name": exported.file_name,
        "text": None if refused else exported.text,
        "refused": refused,
        "written": written,
        "losses": [
            {
                "what": loss.what,
                "message": loss.message,
                "hint": loss.hint,
                "paths": list(loss.paths),
            }
            for loss in exported.losses
        ],
        "notes": list(exported.notes),
    }
