"""Findings as workflow commands, which GitHub Actions shows beside the lines of a change.

Source: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.checked import CheckedFile
from lorascope.core.errors import printable
from lorascope.core.finding import Finding

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_LONGEST = 4_000
"""Characters of one message; GitHub cuts at some thousand."""


def github_annotations(files: Sequence[CheckedFile]) -> Iterator[str]:
    """Yield one command a line for each finding and each file that could not be checked."""
    for file in files:
        for error in file.problems:
            yield _command("error", {"file": file.path} if file.is_file else {}, str(error))
        for finding in file.findings:
            yield _finding(file, finding)


def _finding(file: CheckedFile, finding: Finding) -> str:
    place = {"file": file.path} if file.is_file else {}
    if file.is_file and finding.spot is not None:
        place |= {"line": str(finding.spot.line), "col": str(finding.spot.column)}
    place["title"] = f"lorascope {finding.code}"
    what = f"{finding.entry}: {finding.message}" if finding.entry else finding.message
    return _command(_COMMANDS[finding.severity], place, f"{what} {finding.hint}".rstrip())


def _command(name: str, properties: dict[str, str], message: str) -> str:
    shown = ",".join(f"{key}={_escaped_property(value)}" for key, value in properties.items())
    return f"::{f'{name} {shown}'.rstrip()}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return printable(text, _LONGEST).replace("%", "%25")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
