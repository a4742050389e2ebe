"""What came of checking the configurations of one published project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lorascope.core.finding import Finding, Severity

KNOWN = Path(__file__).parent / "published_errors.tsv"


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """One error that is true: one row of the table."""

    checkout: str
    path: str
    """Of the file, below the checkout."""
    code: str
    entry: str
    why: str
    """Why it is true."""


def read_known(text: str) -> tuple[Known, ...]:
    """Read the rows of the table, in order."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Known(*line.split("\t")) for line in lines)


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration that was read."""

    path: str
    """Of the file, or of the block with its line."""
    base_model: str | None
    findings: tuple[Finding, ...]
    unknown_model: str | None = None
    """Why nothing stands for its base model; None if it was checked on one."""

    @property
    def file(self) -> str:
        """The file's path without a line."""
        head, _, line = self.path.rpartition(":")
        return head if line.isdigit() else self.path

    def of(self, severity: Severity) -> Iterator[Finding]:
        """Return the findings of one severity."""
        return (found for found in self.findings if found.severity == severity)

    def explained_by(self, finding: Finding, checkout: str, known: tuple[Known, ...]) -> bool:
        """Whether an error is known as true."""
        asked = (checkout, self.file, finding.code, finding.entry)
        return any((row.checkout, row.path, row.code, row.entry) == asked for row in known)


@dataclass
class Result:
    """One checkout."""

    checkout: str
    commit: str
    texts: int = 0
    """Files, and blocks of pages, that were looked at."""
    of_no_tool: int = 0
    """Texts of no tool that is known."""
    without_lora: int = 0
    """Texts of a known tool that train no LoRA."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason, of texts that speak of LoRA."""
    configurations: list[Configuration] = field(default_factory=list)

    def unexplained(self, known: tuple[Known, ...]) -> Iterator[tuple[Configuration, Finding]]:
        """Return the errors that are not known as true."""
        for each in self.configurations:
            for finding in each.of(Severity.ERROR):
                if not each.explained_by(finding, self.checkout, known):
                    yield each, finding


def not_found(results: list[Result], known: tuple[Known, ...]) -> tuple[Known, ...]:
    """Return the rows of known errors that were not found, of the checkouts that were read."""
    found = {
        (result.checkout, each.file, finding.code, finding.entry)
        for result in results
        for each in result.configurations
        for finding in each.of(Severity.ERROR)
    }
    read = {result.checkout for result in results}
    return tuple(
        row
        for row in known
        if row.checkout in read and (row.checkout, row.path, row.code, row.entry) not in found
    )
