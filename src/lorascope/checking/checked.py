"""What came of checking: a configuration with its findings, a file with its configurations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lorascope.checking.subject import Subject
from lorascope.core.errors import LorascopeError, printable
from lorascope.core.finding import Finding, Severity
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted
from lorascope.core.recipe import Recipe
from lorascope.matching import EntryMatch, Match
from lorascope.serving.engines import engines
from lorascope.serving.outcome import Outcome, outcome

STANDARD_INPUT = "standard input"
"""What messages and headings call what came from there."""


@dataclass(frozen=True, slots=True, repr=False)
class Checked:
    """One configuration, checked."""

    subject: Subject
    findings: tuple[Finding, ...]
    """The worst first."""
    problem: LorascopeError | None = None
    """Why the base model is not known, so that only the rules that need none were run."""
    notes: tuple[str, ...] = ()
    """What the reader must know about how it was checked, each one sentence."""

    @property
    def recipe(self) -> Recipe:
        """What somebody wrote."""
        return self.subject.recipe

    @property
    def inventory(self) -> Inventory | None:
        """Of the base model; None if it is not known."""
        return self.subject.inventory

    @property
    def match(self) -> Match | None:
        """What PEFT does; None without a model, or if PEFT refuses before it selects."""
        return self.subject.match

    @property
    def entries(self) -> tuple[EntryMatch, ...]:
        """What each entry hits."""
        return self.subject.entries

    @property
    def trainable_params(self) -> int | None:
        """As PEFT counts them; None if that is not known, 0 if PEFT refuses."""
        return None if self.subject.match is None else self.subject.match.trainable_params

    @property
    def serving(self) -> tuple[Outcome, ...]:
        """What each engine that is asked for makes of it; none if nothing is known to be trained.

        Scales are those of the adapted modules, whatever becomes of the rest.
        """
        subject = self.subject
        if subject.inventory is None or subject.match is None or not subject.targets:
            return ()
        return tuple(
            outcome(engines()[name], subject.spec, subject.match, subject.inventory, subject.stored)
            for name in subject.engines
            if name in engines()
        )

    def __repr__(self) -> str:
        return _shown(self, self.recipe.origin, self.findings, self.problem)


@dataclass(frozen=True, slots=True, repr=False)
class CheckedFile:
    """One file, and all configurations in it."""

    path: str
    """As the user named it, or as it was found below a directory; `-` for standard input, and
    `--targets` for a list of names."""
    checks: tuple[Checked, ...] = ()
    text: str | None = None
    """What the file holds; None if it is no text, or has none."""
    error: LorascopeError | None = None
    """Why the file could not be read; then there are no checks."""
    is_left_out: bool = False
    """Whether it was found below a directory and holds no LoRA configuration."""
    is_file: bool = True
    """Whether there is such a file; not for standard input and a list of names."""

    @property
    def name(self) -> str:
        """What to call it."""
        return STANDARD_INPUT if self.path == "-" and not self.is_file else self.path

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all its configurations."""
        return tuple(finding for checked in self.checks for finding in checked.findings)

    @property
    def problems(self) -> tuple[LorascopeError, ...]:
        """Why something that was asked could not be carried out; empty if all could."""
        errors = [None if self.is_left_out else self.error]
        errors += [checked.problem for checked in self.checks]
        return tuple(error for error in errors if error is not None)

    @property
    def is_incomplete(self) -> bool:
        """Whether something that was asked could not be carried out."""
        return bool(self.problems)

    def __repr__(self) -> str:
        return _shown(self, self.name, self.findings, next(iter(self.problems), None))


def _shown(
    result: object, name: str, findings: tuple[Finding, ...], problem: LorascopeError | None
) -> str:
    """Return one line: what it is about, how many findings of each severity, and their codes."""
    counts = Counter(finding.severity for finding in findings)
    words = [counted(counts[each], str(each)) for each in Severity if counts[each]]
    codes = ", ".join(sorted({finding.code for finding in findings}))
    told = f"{', '.join(words)} ({codes})" if findings else "nothing found"
    failed = "" if problem is None else f"; {type(problem).__name__}"
    return f"<{type(result).__name__} {printable(name)}: {told}{failed}>"


def worst(files: tuple[CheckedFile, ...]) -> Severity | None:
    """Return the worst severity found; None if nothing was."""
    found = [Severity(finding.severity) for file in files for finding in file.findings]
    return min(found, key=lambda severity: severity.rank, default=None)
