"""LT025: a module is both targeted and saved whole."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit
from lorascope.matching import Where
from lorascope.matching.names import EntryList, ancestors


def find(subject: Subject) -> Iterator[Problem]:
    """Find listed targets all of whose modules are saved whole, so that LoRA goes to none."""
    if subject.match is None or not subject.match.saved:
        return
    params = {saved.path: saved.params for saved in subject.match.saved}
    named: dict[str, list[str]] = {}
    known = EntryList(subject.list_targets)
    for path in subject.modules:
        for entry in known.naming(path):
            named.setdefault(entry, []).append(path)
    kept = [e for e in subject.list_targets if e not in named or not _all_in(named[e], params)]
    for entry in dict.fromkeys(subject.list_targets):
        paths = named.get(entry, [])
        if not paths or not _all_in(paths, params):
            continue
        holders = dict.fromkeys(_holder(path, params) for path in paths)
        count = sum(params[holder] for holder in holders if holder is not None)
        yield Problem(
            entry=entry,
            message=(
                f"{listed(paths)} is in modules_to_save as well: it is copied, trained and saved "
                f"whole ({count:,} parameters), and gets no LoRA."
            ),
            hint=(
                "Name it in one of the two: in target_modules to adapt it by LoRA, in "
                "modules_to_save to train all of it."
            ),
            where=Where.TARGET_MODULES,
            paths=tuple(paths[:MOST_PATHS]),
            edits=(Edit(Where.TARGET_MODULES, entry, ()),) if kept else (),
        )


def _holder(path: str, saved: dict[str, int]) -> str | None:
    return next((each for each in (path, *ancestors(path)) if each in saved), None)


def _all_in(paths: list[str], saved: dict[str, int]) -> bool:
    return all(_holder(path, saved) is not None for path in paths)


RULE = Rule(
    code="LT025",
    name="targeted-and-saved",
    severity=Severity.WARNING,
    summary="A module is in `target_modules` and in `modules_to_save`.",
    why=(
        "PEFT keeps LoRA away from what `modules_to_save` names, and does not say so. The module "
        "is trained whole: `lm_head` of an 8 B model is 525 million trainable parameters instead "
        "of a few million, with their gradients and optimizer states."
    ),
    instead="Name it in one of the two lists.",
    bad=Example(
        "Llama-3.1-8B",
        {"target_modules": ["q_proj", "v_proj", "lm_head"], "modules_to_save": ["lm_head"]},
    ),
    good=Example(
        "Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]}
    ),
    reports=("huggingface/peft#577",),
    needs=Needs.MATCH,
    find=find,
)
