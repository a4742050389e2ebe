"""LT033: commas, spaces or quotes in an entry."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.missed import Missed, Why, mended, missed_parameters, missed_targets
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_list, in_command, shown
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit, Tool


def find(subject: Subject) -> Iterator[Problem]:
    """Find entries that are names but for what stands around or between them."""
    fields = (
        (missed_targets(subject), subject.list_targets),
        (missed_parameters(subject), subject.asked.target_parameters or ()),
    )
    for missed, listed in fields:
        strange = [each for each in missed if each.why is Why.PUNCTUATION]
        all_right = mended(listed, strange)
        for each in strange:
            yield _problem(subject, each, listed, all_right)


def _problem(
    subject: Subject, missed: Missed, listed: tuple[str, ...], all_right: tuple[str, ...]
) -> Problem:
    entry, where = missed.entry.entry, missed.entry.where
    new = tuple(name for name in missed.instead if name not in listed)
    shell = (
        " A shell passes on the comma as a part of the word."
        if subject.recipe.tool is Tool.TRL and entry.endswith(",")
        else ""
    )
    return Problem(
        entry=entry,
        message=(
            f"PEFT looks for {entry!r} as it stands, with {_strange(entry)}, and no name has that: "
            f"it adapts nothing.{shell}"
        ),
        hint=f"Write {as_list(subject.recipe, where, all_right)}"
        if in_command(subject.recipe, where)
        else f"Write {shown(missed.instead)}" + ("." if new else ", which is there already."),
        where=where,
        edits=(Edit(where, entry, new),),
    )


def _strange(entry: str) -> str:
    named = {",": "the comma", " ": "the space", '"': "the quotes", "'": "the quotes"}
    found = dict.fromkeys(word for sign, word in named.items() if sign in entry)
    return " and ".join(found) or "the signs around it"


RULE = Rule(
    code="LT033",
    name="punctuation-in-entry",
    severity=Severity.ERROR,
    summary="An entry holds a comma, spaces or quotes that are no part of a name.",
    why=(
        '`--lora_target_modules "q_proj", "v_proj"` in a shell passes the words `q_proj,` and '
        "`v_proj`. PEFT takes each as the end of a name, so that only `v_proj` is adapted, without "
        "a word. The same happens with several names in one string of a list."
    ),
    instead="Put spaces between the words of a command, and one name into each item of a list.",
    bad=Example("Qwen2.5-0.5B", {"target_modules": ["q_proj,", "v_proj"]}),
    good=Example("Qwen2.5-0.5B", {"target_modules": ["q_proj", "v_proj"]}),
    reports=("https://github.com/huggingface/trl/blob/main/examples/scripts/grpo_vlm.py",),
    needs=Needs.MATCH,
    find=find,
)
