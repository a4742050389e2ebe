"""LT034: names that another class, release or tool has for the same modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.missed import Missed, Why, mended, missed_targets
from lorascope.checking.missed_pattern import WhyPattern, missed_pattern
from lorascope.checking.reaching import asked_otherwise
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import as_list, in_command, shown
from lorascope.core.errors import SpecificationError
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.matching import Where
from lorascope.matching.names import EntryList

_Change = tuple[str, tuple[str, ...]]
"""What differs between an entry and what to write instead, for many entries alike."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find names, prefixes and patterns that another class or release would take."""
    changes: dict[_Change, list[Missed]] = {}
    old_names = [missed for missed in missed_targets(subject) if missed.why is Why.ERA]
    for missed in old_names:
        changes.setdefault(_change(missed), []).append(missed)
    for (old, new), group in changes.items():
        yield _of_entries(subject, old_names, old, new, group)
    yield from _of_pattern(subject)


def _change(missed: Missed) -> _Change:
    """Return what changes: the last part of the name, or else what stands before the rest."""
    entry, instead = missed.entry.entry, missed.instead
    last = entry.rpartition(".")[2]
    lasts = tuple(name.rpartition(".")[2] for name in instead)
    if lasts != (last,):
        return last, lasts
    old, new = entry.split("."), instead[0].split(".")
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return ".".join(old) or entry, (".".join(new),)


def _of_entries(
    subject: Subject,
    old_names: Sequence[Missed],
    old: str,
    new: tuple[str, ...],
    group: Sequence[Missed],
) -> Problem:
    first = group[0]
    unlisted = [name for name in first.instead if name not in subject.list_targets]
    if in_command(subject.recipe, Where.TARGET_MODULES):
        whole = mended(subject.list_targets, old_names)
        hint = f"Write {as_list(subject.recipe, Where.TARGET_MODULES, whole)}"
    elif len(group) > 1 and new[0]:
        hint = f"Write {shown(first.instead)}, and so on: {old!r} is {shown(new)} here."
    else:
        hint = f"Write {shown(unlisted)}." if unlisted else "That is listed already; remove it."
    known = EntryList(name for missed in group for name in missed.instead)
    hit = [path for path in subject.modules if known.first_naming(path)]
    is_adapted = bool(hit) and subject.adapted_paths.issuperset(hit)
    more = f" {len(group) - 1} more entries likewise." if len(group) > 1 else ""
    cls = subject.model.model.cls
    return Problem(
        entry=first.entry.entry,
        message=(
            f"It has the name that another class, release or tool gives to what {cls} calls "
            f"{shown(first.instead)}; here it names nothing.{more}"
        ),
        hint="That is adapted already; remove it." if is_adapted else hint,
        where=Where.TARGET_MODULES,
        paths=tuple(hit),
        edits=tuple(_edits(subject, group)),
        severity=Severity.INFO if is_adapted else None,
    )


def _edits(subject: Subject, group: Sequence[Missed]) -> Iterator[Edit]:
    written = set(subject.list_targets)
    for missed in group:
        new = tuple(name for name in missed.instead if name not in written)
        written.update(new)
        yield Edit(Where.TARGET_MODULES, missed.entry.entry, new)


def _of_pattern(subject: Subject) -> Iterator[Problem]:
    missed = missed_pattern(subject)
    if missed is None or missed.why is not WhyPattern.ERA:
        return
    new = missed.instead[0]
    is_taken = _is_taken(subject, new)
    yield Problem(
        entry=missed.pattern,
        message=(
            "It matches nothing, because its prefix is that of another class or release; in "
            f"{subject.model.model.cls} the same modules lie elsewhere."
        ),
        hint=f"Write {new}"
        if is_taken
        else f"Here it would be {new}, which names containers or activations too, and PEFT refuses "
        "those: let it end with the layers that are meant.",
        where=Where.TARGET_MODULES,
        edits=(Edit(Where.TARGET_MODULES, None, new),)
        if is_taken and len(missed.instead) == 1
        else (),
    )


def _is_taken(subject: Subject, pattern: str) -> bool:
    """Whether PEFT would take a pattern: one that names containers is no answer."""
    try:
        return asked_otherwise(subject, target_modules=pattern).refused is None
    except SpecificationError:
        return False


RULE = Rule(
    code="LT034",
    name="names-of-other-era",
    severity=Severity.ERROR,
    summary="A target has the name that another class or release of the model gives it.",
    why=(
        "Names differ between a model's first remote code and its class in transformers "
        "(phi-1.5's `Wqkv` and `out_proj`) and between families (GPT-NeoX's `query_key_value` on "
        "Phi-2), and they move when a wrapper changes (`language_model.model.` became "
        "`model.language_model.`). PEFT then finds nothing, or only what the other entries name."
    ),
    instead="Write the name that this class has.",
    bad=Example("Phi-2", {"target_modules": ["Wqkv", "out_proj", "fc1", "fc2"]}),
    good=Example("Phi-2", {"target_modules": ["q_proj", "k_proj", "v_proj", "dense", "fc1"]}),
    reports=("huggingface/peft#1375", "vllm-project/vllm#34186"),
    needs=Needs.MATCH,
    find=find,
)
