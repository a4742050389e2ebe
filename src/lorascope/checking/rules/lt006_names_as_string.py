"""LT006: names as one string, which PEFT reads as a regular expression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.missed_pattern import WhyPattern, missed_pattern, names_in
from lorascope.checking.naming import quoted
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_list, in_command, listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.core.spec import LoraSpec
from lorascope.matching import EntryMatch, Where, explain
from lorascope.matching.usual_names import ROLES_OF_NAME


def find(subject: Subject) -> Iterator[Problem]:
    """Find a string of names that hits nothing, and a list that the tool makes such a string of."""
    if subject.inventory is None:
        yield from _by_text(subject)
        return
    missed = missed_pattern(subject)
    if missed is None or missed.why is not WhyPattern.NAMES:
        return
    found = _as_list(subject, missed.instead)
    hit = sum(entry.matched for entry in found)
    if subject.list_targets:
        if hit and missed.instead == subject.list_targets:
            yield _collapsed(subject, hit)
    else:
        yield _string(subject, found, hit)


def _by_text(subject: Subject) -> Iterator[Problem]:
    """Find what no model has, without one: a comma, or a name that is never a whole name."""
    pattern = subject.pattern
    names = () if pattern is None else names_in(pattern)
    if pattern is None or not names:
        return
    if "," in pattern or all(name in ROLES_OF_NAME for name in names):
        yield Problem(
            entry=pattern,
            message=_why(""),
            hint=f"Write {_listed(subject, names)}.",
            where=Where.TARGET_MODULES,
            edits=(Edit(Where.TARGET_MODULES, None, names),),
        )


def _why(outcome: str) -> str:
    return f"PEFT reads a string as one regular expression for whole module names{outcome}."


def _string(subject: Subject, found: Sequence[EntryMatch], hit: int) -> Problem:
    names = [entry.entry for entry in found if entry.matched]
    absent = [entry for entry in found if not entry.matched]
    said = f"Write {_listed(subject, names)}." if names else "Write a list of names."
    if absent:
        said += f" {listed(entry.entry for entry in absent)} would match nothing there either"
        near = dict.fromkeys(name for entry in absent for name in entry.nearest)
        said += f"; the nearest real names are {listed(near)}." if near else "."
    return Problem(
        entry=subject.pattern or "",
        message=_why(f", so this matches nothing; as a list it would match {hit} modules"),
        hint=said,
        where=Where.TARGET_MODULES,
        edits=() if absent else (Edit(Where.TARGET_MODULES, None, tuple(names)),),
    )


def _collapsed(subject: Subject, hit: int) -> Problem:
    entry = subject.list_targets[0]
    pattern = r".*\." + entry.replace(".", r"\.")
    where = Where.TARGET_MODULES
    return Problem(
        entry=entry,
        message=(
            f"{subject.recipe.tool.own_name} makes a string of a list with one entry, and PEFT "
            f"reads it as a regular expression for whole names: it matches nothing "
            f"instead of {hit} modules."
        ),
        hint=f"Write the regular expression, {as_list(subject.recipe, where, [pattern])}, or give "
        f"a second entry beside it: also {as_list(subject.recipe, where, [entry, entry])} keeps it "
        "a list.",
        where=Where.TARGET_MODULES,
        edits=(Edit(Where.TARGET_MODULES, entry, (pattern,)),),
    )


def _listed(subject: Subject, names: Sequence[str]) -> str:
    if in_command(subject.recipe, Where.TARGET_MODULES):
        return as_list(subject.recipe, Where.TARGET_MODULES, names)
    return f"a list: {quoted(names)}"


def _as_list(subject: Subject, names: tuple[str, ...]) -> tuple[EntryMatch, ...]:
    """Return what the names would hit in a list."""
    found = explain(subject.model, LoraSpec(target_modules=names))
    return tuple(found.entries_of(Where.TARGET_MODULES))


RULE = Rule(
    code="LT006",
    name="names-as-string",
    severity=Severity.ERROR,
    summary="`target_modules` is a name, or several with commas, as one string.",
    why=(
        "PEFT reads a string as one regular expression that must match the whole name of a "
        "module: `q_proj` matches nothing, because the name is `model.layers.0.self_attn.q_proj`. "
        "TRL makes such a string of a list with one entry."
    ),
    instead="Write a list, or a regular expression for whole names: `.*\\.q_proj`.",
    bad=Example("Llama-3.1-8B", {"target_modules": "q_proj"}),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj"]}),
    reports=("huggingface/trl#3255",),
    needs=Needs.CONFIG,
    find=find,
)
