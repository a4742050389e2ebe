"""Findings as SARIF 2.1.0, which code scanning services read.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from lorascope._version import __version__
from lorascope.checking import RULES, Rule
from lorascope.checking.checked import CheckedFile
from lorascope.core.finding import Finding
from lorascope.core.recipe import Spot

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_RULE_INDEX = {rule.code: index for index, rule in enumerate(RULES)}
_LINK = re.compile(r"\[([^\[\]]*)\](?=\()")
"""What a reader of SARIF would take for a link, for example in a regular expression."""


def sarif(files: Sequence[CheckedFile]) -> dict[str, Any]:
    """Return one run with all findings, and the files that could not be read as notifications."""
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "lorascope",
                        "version": __version__,
                        "rules": [_rule(rule) for rule in RULES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(file, finding) for file in files for finding in file.findings],
                "invocations": [
                    {
                        "executionSuccessful": not any(file.is_incomplete for file in files),
                        "toolExecutionNotifications": [
                            notification for file in files for notification in _notifications(file)
                        ],
                    }
                ],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.instead},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(file: CheckedFile, finding: Finding) -> dict[str, Any]:
    what = f"{finding.entry}: {finding.message}" if finding.entry else finding.message
    return {
        "ruleId": finding.code,
        "ruleIndex": _RULE_INDEX.get(finding.code, -1),
        "level": _LEVELS[finding.severity],
        "message": {"text": _plain(f"{what} {finding.hint}".rstrip())},
        "locations": _locations(file, finding.spot),
    }


def _locations(file: CheckedFile, spot: Spot | None = None) -> list[dict[str, Any]]:
    """Return the place in the file; none for what is no file."""
    if not file.is_file:
        return []
    place: dict[str, Any] = {"artifactLocation": _artifact(file)}
    if spot is not None:
        place["region"] = _region(spot, file.text)
    return [{"physicalLocation": place}]


def _region(spot: Spot, text: str | None) -> dict[str, int]:
    """Return lines and columns from 1 on; the last column is the one after the end."""
    region = {"startLine": spot.line, "startColumn": spot.column}
    if text is None:
        return region
    meant = text[spot.start : spot.end]
    lines = meant.count("\n")
    last = len(meant) - meant.rfind("\n") - 1
    end = last + 1 if lines else spot.column + len(meant)
    return region | {"endLine": spot.line + lines, "endColumn": end}


def _plain(text: str) -> str:
    return _LINK.sub(r"\\[\1\\]", text)


def _artifact(file: CheckedFile) -> dict[str, Any]:
    path = PurePath(file.path)
    return {"uri": path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))}


def _notifications(file: CheckedFile) -> list[dict[str, Any]]:
    return [
        {
            "level": "error",
            "message": {"text": _plain(str(error))},
            "locations": _locations(file),
        }
        for error in file.problems
    ]
