"""The value that `lorascope check --json` prints. Schema: `schema/check.schema.json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lorascope.checking.checked import Checked, CheckedFile
from lorascope.checking.rule import MOST_PATHS
from lorascope.core.errors import LorascopeError
from lorascope.core.finding import Finding, Severity
from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.report.json_inventory import model_json
from lorascope.report.json_match import entry_json, spec_json
from lorascope.serving.outcome import Outcome


def check_json(files: Sequence[CheckedFile]) -> dict[str, Any]:
    """Return what was found as plain JSON values."""
    read = [file for file in files if not file.is_left_out]
    found = [finding for file in read for finding in file.findings]
    return {
        "schema_version": SCHEMA_VERSION,
        "checks": [_check(file, checked) for file in read for checked in file.checks],
        "unread": [
            {"file": file.path, **_error(file.error)} for file in read if file.error is not None
        ],
        "summary": {
            "files": len(read),
            "left_out": len(files) - len(read),
            "checks": sum(len(file.checks) for file in read),
            **{f"{each}s": sum(f.severity == each for f in found) for each in Severity},
            "fixable": sum(bool(finding.edits) for finding in found),
        },
    }


def _check(file: CheckedFile, checked: Checked) -> dict[str, Any]:
    inventory, match, recipe = checked.inventory, checked.match, checked.recipe
    return {
        "file": file.path,
        "name": recipe.name,
        "tool": str(recipe.tool),
        "base_model": recipe.base_model,
        "model": None if inventory is None else model_json(inventory.model),
        "peft_version": checked.subject.peft_version,
        "entries": [entry_json(entry) for entry in checked.entries],
        "adapted": None if match is None else len(match.targets),
        "trainable_params": checked.trainable_params,
        "effective": None if match is None else spec_json(match.effective),
        "refused": checked.subject.refused,
        "problem": None if checked.problem is None else _error(checked.problem),
        "notes": list(checked.notes),
        "findings": [finding_json(finding) for finding in checked.findings],
        "serving": [row for each in checked.serving for row in _serving(each)],
    }


def _serving(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield one row for each factor, with the modules that it is about."""
    for part in outcome.parts:
        yield {
            "engine": outcome.engine.name,
            "version": outcome.engine.version,
            "factor": part.factor,
            "modules": len(part.paths),
            "names": list(dict.fromkeys(path.rpartition(".")[2] for path in part.paths)),
            "paths": list(part.paths[:MOST_PATHS]),
            "options": list(outcome.options),
            "as_trained": outcome.as_trained,
            "left_out": list(outcome.left_out),
        }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain JSON values."""
    spot = finding.spot
    return {
        "code": finding.code,
        "severity": finding.severity,
        "where": finding.where,
        "entry": finding.entry,
        "message": finding.message,
        "hint": finding.hint,
        "paths": list(finding.paths),
        "line": None if spot is None else spot.line,
        "column": None if spot is None else spot.column,
        "fixable": bool(finding.edits),
    }


def _error(error: LorascopeError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.what, "hint": error.hint}
