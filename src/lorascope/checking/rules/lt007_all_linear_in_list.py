"""LT007: `all-linear` as an item of a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import in_command, shown
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit, Tool
from lorascope.core.roles import Kind
from lorascope.matching import Where
from lorascope.matching.all_linear import SHORTHAND

_AS_IT_IS = (Tool.PEFT, Tool.AXOLOTL)
"""Tools that hand a list to PEFT as it is, whatever the model."""


def find(subject: Subject) -> Iterator[Problem]:
    """Find the shorthand in a list that PEFT gets as a list."""
    handed = subject.spec.target_modules
    if handed is None or isinstance(handed, str):
        return
    if subject.inventory is None and subject.recipe.tool not in _AS_IT_IS:
        return
    written = [entry for entry in subject.list_targets if entry.lower() == SHORTHAND]
    if not written or not any(entry.lower() == SHORTHAND for entry in handed):
        return
    others = [entry for entry in subject.list_targets if entry.lower() != SHORTHAND]
    key = subject.recipe.key(Where.TARGET_MODULES)
    alone = f"{key} as the string {SHORTHAND!r}, without a list around it"
    if in_command(subject.recipe, Where.TARGET_MODULES):
        alone = f"{key} {SHORTHAND} and no other word behind it"
    covered = _are_covered(subject, others)
    yield Problem(
        entry=written[0],
        message=(
            f"PEFT knows {SHORTHAND!r} only as a string; in a list it is the name of a module, "
            "and no module has it."
            + (f" Only {shown(others)} counts." if others else " PEFT refuses to train.")
        ),
        hint=f"Write {alone}."
        if covered
        else f"Write {alone}, or list the names it stands for together with {shown(others)}.",
        where=Where.TARGET_MODULES,
        edits=(Edit(Where.TARGET_MODULES, None, SHORTHAND),) if covered else (),
    )


def _are_covered(subject: Subject, others: Sequence[str]) -> bool:
    """Whether the shorthand alone reaches what the other entries name."""
    if not others:
        return True
    if subject.inventory is None:
        return False
    head = subject.model.model.output_embedding
    hit = [
        subject.modules.get(path)
        for entry in subject.entries_of(Where.TARGET_MODULES)
        for path in entry.paths
    ]
    return all(
        module is not None and module.kind in (Kind.LINEAR, Kind.CONV1D) and module.path != head
        for module in hit
    )


RULE = Rule(
    code="LT007",
    name="all-linear-in-list",
    severity=Severity.ERROR,
    summary="`all-linear` stands in a list of targets.",
    why=(
        "PEFT spells `all-linear` out only where `target_modules` is that string. In a list it is "
        "the name of a module: `Target modules {'all-linear'} not found in the base model`. Beside "
        "other entries it is skipped without a word."
    ),
    instead="Write the string `all-linear`, without a list around it.",
    bad=Example("Llama-3.1-8B", {"target_modules": ["all-linear"]}),
    good=Example("Llama-3.1-8B", {"target_modules": "all-linear"}),
    reports=("foundation-model-stack/fms-hf-tuning#46",),
    needs=Needs.CONFIG,
    find=find,
)
