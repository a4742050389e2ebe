"""Findings with one right answer, mended in the text of their file."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lorascope.api.checks import CheckRequest, check_text
from lorascope.checking.checked import CheckedFile
from lorascope.core.errors import LorascopeError, OutputError
from lorascope.core.finding import Finding
from lorascope.core.recipe import Recipe
from lorascope.formats.edit import apply_edits
from lorascope.source.replace_file import replace_file

_MOST_PASSES = 10
"""A change may make another mistake visible; this often is enough."""
_MOST_ALONE = 20
"""Findings that are tried one by one in a pass, where they cannot be mended together."""
_MOST_MENDED = 200
"""Findings after which no further pass is made: each checks the whole text again."""
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""Byte order mark, which some editors put at the start of a file."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A file with its text mended."""

    before: CheckedFile
    after: CheckedFile
    """The mended text, checked; the same as `before` if nothing could be changed."""
    count: int
    """Findings that were mended."""
    unmended: tuple[str, ...] = ()
    """Why a finding that has one right answer could not be mended in this text."""

    @property
    def is_changed(self) -> bool:
        """Whether the text is another one now."""
        return self.before.text != self.after.text


def mend(file: CheckedFile, path: Path, request: CheckRequest) -> Mended:
    """Mend in memory what has one right answer; nothing is written.

    Args:
        file: As `check_file` returned it.
        path: Where it is.
        request: How it was checked.
    """
    current, count, unmended = file, 0, dict[str, None]()
    # One limit of time for all passes; what was asked before has its answers already.
    regex = file.checks[0].subject.regex if file.checks else None
    for _ in range(_MOST_PASSES):
        text, done = _pass(current, unmended)
        if text is None or text == current.text:
            break
        after = check_text(text, file.path, path, request, regex)
        if after.error is not None:  # never hand out a text that cannot be read
            unmended[after.error.what] = None
            break
        current, count = after, count + done
        if count >= _MOST_MENDED:
            unmended[f"only {count} findings are mended at a time; mend again for more"] = None
            break
    return Mended(file, current, count, tuple(unmended))


def write_mended(mended: Mended, path: Path) -> None:
    """Write a mended text in place of the file, whole or not at all; its mode is kept.

    Raises:
        OutputError: It cannot be written, is read-only, or has changed since it was checked.
    """
    real = path.resolve()
    try:
        now = real.read_bytes()
        before, after = mended.before.text or "", mended.after.text or ""
        marked = now.startswith(_MARK.encode())
        if now.decode("utf-8-sig", "replace") != before:
            raise OutputError(f"{path} has changed since it was checked.", "Check it again.")
        # To replace a file only its directory must be writable; the mode says what is meant.
        if not real.stat().st_mode & _WRITABLE:
            raise OutputError(
                f"{path} is read-only, so it is not mended.",
                "Make it writable, or see with --diff what to change.",
            )
        replace_file(real, ((_MARK if marked else "") + after).encode(), keep_mode=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error


def _pass(file: CheckedFile, unmended: dict[str, None]) -> tuple[str | None, int]:
    """Mend the configurations of a file, the last one first so that places stay right."""
    text, count = file.text, 0
    for checked in sorted(file.checks, key=lambda each: -_start(each.recipe)):
        together = _without_conflicts(checked.findings)
        alone = ([finding] for finding in together[:_MOST_ALONE])
        for findings in (together, *alone):
            if text is None or not findings:
                break
            edits = [edit for finding in findings for edit in finding.edits]
            try:
                text = apply_edits(text, checked.recipe, edits)
            except LorascopeError as error:
                if len(findings) == 1:
                    unmended[f"{findings[0].code} {findings[0].entry}: {error}"] = None
                continue
            count += len(findings)
            break
    return text, count


def _without_conflicts(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings whose edits change different things; the others wait for the next pass."""
    taken: set[str] = set()
    entries: set[tuple[str, str | None]] = set()
    chosen = []
    for finding in findings:
        if not finding.edits:
            continue
        fields = {edit.field for edit in finding.edits if edit.entry is None}
        wanted = {(edit.field, edit.entry) for edit in finding.edits}
        touched = {field for field, _ in entries}
        if wanted & entries or fields & touched or {edit.field for edit in finding.edits} & taken:
            continue
        chosen.append(finding)
        taken |= fields
        entries |= wanted
    return chosen


def _start(recipe: Recipe) -> int:
    return max((spot.start for spot in recipe.spots.values()), default=0)
