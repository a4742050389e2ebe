"""LT022: a head or an embedding is adapted that shares its weight with the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorascope.checking.leaving_out import can_say
from lorascope.checking.reaching import asked_otherwise, reaches, uses_peft
from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.errors import SpecificationError
from lorascope.core.finding import Severity
from lorascope.core.inventory import Module
from lorascope.matching import Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find adapted or saved modules whose weight another module shares, left untied."""
    if not subject.targets or subject.match is None or not uses_peft(subject):
        return
    if subject.spec.ensure_weight_tying and not subject.match.warnings:
        return
    partners = _partners(subject)
    adapted = {
        reach.entry: [m for m in reach.modules if m.path in partners] for reach in reaches(subject)
    }
    saved = _saved(subject, partners)
    if any(adapted.values()):
        yield _problem(subject, adapted, Where.TARGET_MODULES, partners)
    if saved:
        yield _problem(subject, saved, Where.MODULES_TO_SAVE, partners)


def _partners(subject: Subject) -> Mapping[str, tuple[str, ...]]:
    """Return, for each module that shares an embedding's or head's weight, the others' names."""
    groups: dict[str, list[str]] = {}
    for path, module in subject.modules.items():
        for parameter in module.parameters:
            if parameter.tied_to is not None and parameter.name == "weight":
                first = parameter.tied_to.rpartition(".")[0]
                groups.setdefault(first, [first]).append(path)
    return {
        path: tuple(other for other in group if other != path)
        for group in groups.values()
        if any(_is_table(subject, path) for path in group)
        for path in group
        if path
    }


def _is_table(subject: Subject, path: str) -> bool:
    """Whether it is an embedding or a head.

    Blocks that share weights with each other by design, as Zamba's, are another matter.
    """
    row = subject.model.by_path.get(path)
    return row is not None and row.role.group in ("embedding", "head")


def _saved(subject: Subject, partners: Mapping[str, Sequence[str]]) -> dict[str, list[Module]]:
    saved: dict[str, list[Module]] = {}
    for each in subject.match.saved if subject.match is not None else ():
        row = subject.model.by_path.get(each.path)
        if row is not None and row.path in partners:
            saved.setdefault(each.entry, []).append(row)
    return saved


def _problem(
    subject: Subject,
    by_entry: Mapping[str, Sequence[Module]],
    where: Where,
    partners: Mapping[str, Sequence[str]],
) -> Problem:
    tied = {module.path: module for modules in by_entry.values() for module in modules}
    others = dict.fromkeys(other for path in tied for other in partners[path] if other not in tied)
    what = _what(list(tied), list(others), is_saved=where is Where.MODULES_TO_SAVE)
    return Problem(
        entry=next(entry for entry, modules in by_entry.items() if modules),
        message=what,
        hint=_hint(subject, "Leave it out, or untie the two before training."),
        where=where,
        paths=tuple(tied),
    )


def _what(tied: Sequence[str], others: Sequence[str], *, is_saved: bool) -> str:
    shares = "shares its weight" if len(tied) == 1 else "share their weights"
    own = "a copy" if is_saved else "LoRA"
    if others:
        who = f"{listed(tied)} {shares} with {listed(others)}."
        then = (
            "A copy of it is trained and drifts away from the other"
            if is_saved
            else "LoRA changes what the one computes and not the other"
        )
    else:
        who = f"{listed(tied)} share a weight."
        then = f"Each gets {own} of its own, and they drift apart"
    merged = (
        "a merged model that is saved and loaded again has only one of the two"
        if is_saved
        else "merging writes into the weight of both"
    )
    return f"{who} {then}; {merged}."


def _hint(subject: Subject, otherwise: str) -> str:
    if not can_say(subject, "ensure_weight_tying"):
        return otherwise
    try:
        kept = asked_otherwise(subject, ensure_weight_tying=True)
    except SpecificationError:
        return otherwise
    if kept.refused is not None or kept.match is None or kept.match.warnings:
        return otherwise
    key = subject.recipe.key("ensure_weight_tying")
    return f"Set {key} to true (PEFT 0.18 and newer), which trains the two as one, or leave it out."


RULE = Rule(
    code="LT022",
    name="tied-weight-adapted",
    severity=Severity.WARNING,
    summary="A head or an embedding is adapted whose weight another module shares.",
    why=(
        "Small models often use one matrix as token embedding and as head. LoRA on `lm_head` "
        "trains only the head; merging adds it to the shared matrix and so changes the embedding "
        "as well. Copies made by `modules_to_save` drift apart, and a merged model keeps one."
    ),
    instead="Leave it out, or set `ensure_weight_tying` to true.",
    bad=Example("Gemma-2-9B", {"target_modules": ["q_proj", "v_proj", "lm_head"]}),
    good=Example("Gemma-2-9B", {"target_modules": ["q_proj", "v_proj"]}),
    reports=("huggingface/peft#2018", "huggingface/transformers#45127"),
    needs=Needs.MATCH,
    find=find,
)
