"""The text that `lorascope check` prints: one group a configuration, then a summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from lorascope.checking.checked import Checked, CheckedFile
from lorascope.core.errors import OutputError
from lorascope.core.finding import Finding, Severity
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import counted, exact, short
from lorascope.core.spec import LoraSpec
from lorascope.matching import EntryMatch, Match
from lorascope.report.coverage import adapted_text, trainable_text
from lorascope.report.excerpt import excerpt
from lorascope.report.fold import fold
from lorascope.report.json_match import spec_json
from lorascope.report.layout import bullet, fields, paragraph
from lorascope.report.lines import Line, Span, clean, joined, line
from lorascope.serving.outcome import Outcome

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_MOST_ENTRIES = 12
"""Entries of one field shown; those that hit nothing are shown first, the rest is counted."""
_LONGEST_ENTRY = 60


def check_text(files: Sequence[CheckedFile], width: int, *, fixable: bool = True) -> list[Line]:
    """Lay out what was found, grouped by file.

    Args:
        files: In the order in which they are shown.
        width: Characters a line.
        fixable: Whether to say which findings `--fix` mends.
    """
    lines: list[Line] = []
    shown = [file for file in files if not file.is_left_out]
    for file in shown:
        if lines:
            lines.append(line(""))
        if file.error is not None:
            lines += [line(file.name, "bold"), *_problem(file.error.what, file.error.hint, width)]
        for number, checked in enumerate(file.checks):
            if number:
                lines.append(line(""))
            lines += _checked_text(checked, file.text, width, fixable=fixable)
    lines += [line("")] if lines else []
    return [*lines, *_summary(files, width, fixable=fixable)]


def _checked_text(checked: Checked, text: str | None, width: int, *, fixable: bool) -> list[Line]:
    lines = [_title(checked), *fields(_facts(checked), width)]
    lines += _entries(checked, width)
    for note in checked.notes:
        lines += bullet(note, width)
    if checked.problem is not None:
        what = f"Not checked against its model: {checked.problem.what}"
        lines += _problem(what, checked.problem.hint, width)
    for alike in _by_place(checked.findings):
        lines += _findings(alike, checked, text, width, fixable=fixable)
    return lines


def _title(checked: Checked) -> Line:
    recipe = checked.recipe
    name = f"  {recipe.name}" if recipe.name else ""
    spans = (Span(clean(recipe.origin), "bold"), Span(clean(name)), Span(f"  {recipe.tool}"))
    return Line(tuple(span for span in spans if span.text))


def _problem(what: str, hint: str | None, width: int) -> list[Line]:
    lines = paragraph(what, width, indent=2, hanging=4, style="bold red")
    return lines + (paragraph(hint, width, indent=4, hanging=4) if hint else [])


def _facts(checked: Checked) -> Iterator[tuple[str, str]]:
    inventory, match = checked.inventory, checked.match
    if inventory is None:
        yield "model", checked.recipe.base_model or ""
        return
    model = inventory.model
    yield "model", f"{model.reference} ({model.cls}, {short(model.total_params)} parameters)"
    yield from (("", note) for note in model.notes if "stands in" in note)
    if match is None or match.refused is not None:
        yield "trains", _refusal(checked)
        return
    yield "trains", _trained(match, inventory)
    yield "saved whole", ", ".join(pattern.text for pattern in fold(s.path for s in match.saved))
    yield "as PEFT has it", ", ".join(_rewritten(checked.subject.spec, match.effective))
    yield from (
        (f"at {_SHORT.get(each.engine.name, each.engine.title)}", _served(each))
        for each in checked.serving
    )


def _served(outcome: Outcome) -> str:
    """Say how strongly each part of the adapter answers at an engine."""
    engine = outcome.engine
    if outcome.is_refused:
        return f"not loaded ({engine.version})"
    options = f" with {', '.join(outcome.options)}" if outcome.options else ""
    return f"{_how(outcome)}{options} ({engine.version})"


_SHORT = {"tgi": "TGI"}
"""Engines with a title that is longer than the room for it."""


def _how(outcome: Outcome) -> str:
    parts = [] if outcome.is_scaled_as_trained else [part.text for part in outcome.parts]
    if outcome.left_out:
        left_out = f"{', '.join(outcome.left_out)} left out"
        return "; ".join([*parts, left_out]) if parts else f"not as trained: {left_out}"
    if parts:
        return "; ".join(parts)
    return "as trained" if outcome.unknown is None else f"unknown: no class for {outcome.unknown}"


def _refusal(checked: Checked) -> str:
    """Say that nothing is trained; and why, if no finding does."""
    refused = checked.subject.refused
    if refused is None:
        return ""
    if any(finding.severity == Severity.ERROR for finding in checked.findings):
        by_tool = checked.subject.refused_by_tool
        return f"nothing: {checked.recipe.tool.own_name if by_tool else 'PEFT'} refuses"
    return f"nothing: {refused}"


def _trained(match: Match, inventory: Inventory) -> str:
    total = inventory.model.total_params
    what = adapted_text(match.targets, inventory) or "no module"
    return f"{what}; {trainable_text(match.trainable_params, total)}"


def _rewritten(asked: LoraSpec, effective: LoraSpec) -> Iterator[str]:
    """Name the fields that PEFT itself changes, with what they are then."""
    before, after = spec_json(asked), spec_json(effective)
    changed = {
        name: value for name, value in after.items() if (value or None) != (before[name] or None)
    }
    for name, value in changed.items():
        shown = f"{name} {json.dumps(value)}"
        if len(shown) > 2 * _LONGEST_ENTRY:
            many = isinstance(value, list)
            shown = f"{name}: {len(value)} entries" if many else f"{shown[: 2 * _LONGEST_ENTRY]} …"
        yield shown


def _entries(checked: Checked, width: int) -> list[Line]:
    by_field: dict[str, list[EntryMatch]] = {}
    for entry in checked.entries:
        by_field.setdefault(str(entry.where), []).append(entry)
    lines: list[Line] = []
    for field, entries in by_field.items():
        lines.append(line(f"  {checked.recipe.key(field)}", "dim"))
        first = sorted(range(len(entries)), key=lambda index: bool(entries[index].matched))
        shown = sorted(first[:_MOST_ENTRIES])
        lines += _entry_lines([entries[index] for index in shown], width)
        if len(entries) > len(shown):
            lines.append(line(f"and {exact(len(entries) - len(shown))} more", "dim", indent=4))
    return lines


def _entry_lines(entries: Sequence[EntryMatch], width: int) -> list[Line]:
    """Lay out entries: what was asked, how much it hits, and what that is, a name a line."""
    asked = [repr(_shortened(entry.entry)) for entry in entries]
    hits = [exact(entry.matched) if entry.matched else "nothing" for entry in entries]
    what = [list(_hit_names(entry)) for entry in entries]
    first = max(map(len, asked), default=0)
    second = max(map(len, hits), default=0)
    column = _ENTRY_INDENT + first + 2 + second + 2
    beside = column + max((len(name) for names in what for name in names), default=0) <= width
    lines: list[Line] = []
    for entry, shown, count, names in zip(entries, asked, hits, what, strict=True):
        style = "" if entry.matched else "bold red"
        head = f"{' ' * _ENTRY_INDENT}{shown.ljust(first)}  {count.rjust(second)}"
        if beside:
            lines.append(Line((Span(head, style), Span(f"  {clean(names[0])}", style or "dim"))))
        else:
            lines.append(Line((Span(head, style),)))
        rest, indent = (names[1:], column) if beside else (names, 2 * _ENTRY_INDENT)
        for name in rest:
            lines += paragraph(name, width, indent=indent, hanging=indent, style=style or "dim")
    return lines


_ENTRY_INDENT = 4
_MOST_NAMES = 3
"""Patterns of names shown for one entry."""


def _shortened(text: str) -> str:
    return clean(text if len(text) <= _LONGEST_ENTRY else f"{text[:_LONGEST_ENTRY]}…")


def _hit_names(entry: EntryMatch) -> Iterator[str]:
    if not entry.matched:
        yield f"nearest: {', '.join(entry.nearest)}" if entry.nearest else entry.reason
        return
    patterns = [pattern.text for pattern in fold(entry.paths)]
    most = _MOST_NAMES if len(patterns) == _MOST_NAMES else _MOST_NAMES - 1
    yield from patterns[:most]
    if len(patterns) > most:
        yield f"and {exact(len(patterns) - most)} more"


def _by_place(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    """Put together what one rule says of one place; two engines may have the same against it."""
    groups: dict[object, list[Finding]] = {}
    for each in findings:
        place = (each.code, each.severity, each.where, each.entry, each.spot)
        groups.setdefault(place, []).append(each)
    yield from groups.values()


def _findings(
    alike: Sequence[Finding], checked: Checked, text: str | None, width: int, *, fixable: bool
) -> list[Line]:
    lines = _place(alike[0], checked, text, width)
    by_hint: dict[str, list[Finding]] = {}
    for each in alike:
        hint = f"{each.hint} [--fix]" if fixable and each.edits else each.hint
        by_hint.setdefault(hint, []).append(each)
    for hint, findings in by_hint.items():
        for message in dict.fromkeys(each.message for each in findings):
            lines += paragraph(message, width, indent=4, hanging=4)
        lines += paragraph(hint, width, indent=4, hanging=4, style="green") if hint else []
    return lines


def _place(finding: Finding, checked: Checked, text: str | None, width: int) -> list[Line]:
    severity = Severity(finding.severity)
    spot = finding.spot
    at = f"{spot.line}:{spot.column} " if spot is not None and text is not None else ""
    entry = f" {finding.entry!r}" if finding.entry else ""
    key = checked.recipe.key(finding.where) if finding.where else ""
    what = clean(f"{key}{entry}".strip())
    head = Line(
        (Span("  "), Span(at, "dim"), Span(f"{severity} {finding.code}", _STYLES[severity]))
    )
    whole = joined([head, Line((Span(what),))] if what else [head], " ")
    if whole.width <= width:
        lines = [line(""), whole]
    else:
        lines = [line(""), head, *paragraph(what, width, indent=4, hanging=6)]
    if spot is not None and text is not None:
        lines += excerpt(text, spot, width)
    return lines


def _summary(files: Iterable[CheckedFile], width: int, *, fixable: bool) -> list[Line]:
    listed = list(files)
    found = [finding for file in listed for finding in file.findings]
    checks = sum(len(file.checks) for file in listed)
    counts = [
        counted(sum(f.severity == severity for f in found), str(severity))
        for severity in (Severity.ERROR, Severity.WARNING)
        if any(f.severity == severity for f in found)
    ]
    infos = sum(f.severity == Severity.INFO for f in found)
    counts += [f"{infos} for your information"] if infos else []
    what = ", ".join(counts) or "nothing found"
    lines = paragraph(f"{counted(checks, 'configuration')} checked: {what}.", width, style="bold")
    left_out = sum(file.is_left_out for file in listed)
    if left_out:
        text = f"{counted(left_out, 'other file')} without a LoRA configuration left out."
        lines += paragraph(text, width, style="dim")
    errors = [file.error for file in listed if file.error is not None and not file.is_left_out]
    unwritten = sum(isinstance(error, OutputError) for error in errors)
    unread = len(errors) - unwritten
    half = sum(checked.problem is not None for file in listed for checked in file.checks)
    if unread:
        lines += paragraph(f"{counted(unread, 'file')} could not be read.", width, style="bold red")
    if unwritten:
        text = f"{counted(unwritten, 'file')} could not be written."
        lines += paragraph(text, width, style="bold red")
    if half:
        whose = "its model" if half == 1 else "their models"
        text = f"{counted(half, 'configuration')} could not be checked against {whose}."
        lines += paragraph(text, width, style="bold red")
    mendable = sum(bool(finding.edits) for finding in found)
    if fixable and mendable:
        text = f"{mendable} can be mended with --fix; --diff shows how."
        lines += paragraph(text, width)
    return lines
