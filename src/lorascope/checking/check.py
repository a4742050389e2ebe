"""Run the rules over one configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from lorascope.checking.edit_outcome import makes_refused
from lorascope.checking.rule import MOST_PATHS, Needs, Problem, Rule
from lorascope.checking.rules import RULES
from lorascope.checking.subject import Subject
from lorascope.core.errors import UnmodelledError
from lorascope.core.finding import Finding, Severity
from lorascope.core.recipe import Edit

MOST_ALIKE = 200
"""Findings of one rule in one configuration; what comes after them is left out."""


def findings_of(subject: Subject, rules: Sequence[Rule] = RULES) -> tuple[Finding, ...]:
    """Return what the rules find, the worst first, then by place and code."""
    found = [_finding(rule, each, subject) for rule in rules for each in _problems(rule, subject)]
    last = frozenset(rule.code for rule in rules if rule.last_resort)
    if any(finding.code in last for finding in found) and _is_told(subject, rules, found):
        found = [finding for finding in found if finding.code not in last]
    return tuple(sorted(dict.fromkeys(found), key=_order))


def left_out(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Say for which rules there may be more findings, each in one sentence."""
    counts = Counter(finding.code for finding in findings)
    return tuple(
        f"{code} is told {MOST_ALIKE} times; what it finds beyond is left out."
        for code, count in sorted(counts.items())
        if count >= MOST_ALIKE
    )


def _is_told(subject: Subject, rules: Sequence[Rule], found: Sequence[Finding]) -> bool:
    """Whether a rule that is no last resort finds an error in the configuration on this model.

    What a serving engine lacks, and which tensors a file has, is no reason for PEFT to refuse.
    """
    last = frozenset(rule.code for rule in rules if rule.last_resort)
    if not subject.engines and subject.stored is None:
        return any(f.severity == Severity.ERROR and f.code not in last for f in found)
    alone = replace(subject, engines=(), stored=None)
    return any(
        (problem.severity or rule.severity) is Severity.ERROR
        for rule in rules
        if not rule.last_resort
        for problem in _problems(rule, alone)
    )


def _problems(rule: Rule, subject: Subject) -> Iterator[Problem]:
    if not _is_runnable(rule, subject):
        return
    try:
        yield from islice(rule.find(subject), MOST_ALIKE)
    except UnmodelledError:
        # A pattern that takes too long is told by the rule for what is not modelled.
        return


def _is_runnable(rule: Rule, subject: Subject) -> bool:
    match rule.needs:
        case Needs.CONFIG:
            return True
        case Needs.MODEL:
            return subject.inventory is not None
        case Needs.MATCH:
            return subject.inventory is not None and (
                subject.match is not None or subject.refused is not None
            )
        case Needs.TENSORS:
            return subject.inventory is not None and subject.stored is not None


def _finding(rule: Rule, problem: Problem, subject: Subject) -> Finding:
    where = _field(problem, subject)
    return Finding(
        code=rule.code,
        severity=(problem.severity or rule.severity).value,
        entry=problem.entry,
        message=problem.message,
        hint=problem.hint,
        paths=problem.paths[:MOST_PATHS],
        where=where,
        spot=subject.recipe.spot(where, problem.entry),
        edits=_possible(problem, subject),
    )


def _field(problem: Problem, subject: Subject) -> str:
    """Return the field that a problem is about; none where its entry is a tool's own setting.

    A setting such as Axolotl's `lora_target_linear` adds targets that no list names.
    """
    recipe = subject.recipe
    is_entry = (problem.where, problem.entry) in recipe.spots
    return "" if problem.entry in recipe.options and not is_entry else problem.where


def _possible(problem: Problem, subject: Subject) -> tuple[Edit, ...]:
    """Return the edits if the file states all that they change and PEFT takes the result.

    A configuration that PEFT refuses may need several findings mended before it does not.
    """
    stated = subject.recipe.stated
    if not all(edit.field in stated for edit in problem.edits):
        return ()
    return () if makes_refused(subject, problem.edits) else problem.edits


def _order(finding: Finding) -> tuple[int, int, str, str]:
    place = finding.spot.start if finding.spot is not None else -1
    return Severity(finding.severity).rank, place, finding.code, finding.entry


def rules_named(codes: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules whose code begins with one of `codes` (`LT0` or `LT011`), or is named so."""
    wanted = tuple(codes)
    return tuple(rule for rule in RULES if rule.code.startswith(wanted) or rule.name in wanted)
