"""LT040: the adapter, or a part of it, can contribute nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorascope.checking.leaving_out import can_say
from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.numbers import plain
from lorascope.core.recipe import Tool
from lorascope.matching import Where


def find(subject: Subject) -> Iterator[Problem]:
    """Find a rank below 1, an alpha of 0 and a dropout that drops everything."""
    spec, key = subject.spec, subject.recipe.key
    if spec.r < 1:
        yield Problem(
            entry=str(spec.r),
            message=f"{key('r')} is {spec.r}: PEFT refuses a rank below 1.",
            hint="Take a positive rank, such as 8 or 16.",
            where="r",
        )
    if spec.lora_alpha == subject.asked.lora_alpha == 0 and not _is_replaced(subject):
        yield Problem(
            entry="0",
            message=f"{key('lora_alpha')} is 0: the adapter is multiplied by 0 and learns nothing.",
            hint=f"Take once or twice the rank, {max(spec.r, 1)} or {2 * max(spec.r, 1)}.",
            where="lora_alpha",
        )
    if spec.lora_dropout >= 1:
        yield Problem(
            entry=plain(spec.lora_dropout),
            message=(
                f"{key('lora_dropout')} is {plain(spec.lora_dropout)}: it is the share of the "
                "inputs that is dropped, and "
                + ("PEFT refuses more than 1." if spec.lora_dropout > 1 else "nothing is learned.")
            ),
            hint="Take a share such as 0.05, or 0.",
            where="lora_dropout",
        )
    yield from _of_pattern(subject, Where.RANK_PATTERN, spec.rank_pattern)
    yield from _of_pattern(subject, Where.ALPHA_PATTERN, spec.alpha_pattern)


def _is_replaced(subject: Subject) -> bool:
    """Whether an alpha of 0 is none to the tool, which takes twice the rank.

    With a model known this shows in what the tool hands to PEFT.
    """
    return subject.inventory is None and subject.recipe.tool is Tool.LLAMAFACTORY


def _of_pattern(subject: Subject, where: Where, pattern: Mapping[str, float]) -> Iterator[Problem]:
    is_rank = where is Where.RANK_PATTERN
    reached = {entry.entry: entry.paths for entry in subject.entries_of(where)}
    for pattern_key, value in pattern.items():
        if value > 0 or (value < 0 and not is_rank):
            continue
        paths = reached.get(pattern_key, ())
        if subject.match is not None and not paths:
            continue
        yield Problem(
            entry=pattern_key,
            message=(
                f"It gives rank {plain(value)}, and PEFT refuses a rank below 1."
                if is_rank
                else "It gives alpha 0: what is adapted there is multiplied by 0 and learns "
                "nothing."
            ),
            hint=(
                "To leave modules out, do not target them, or name them in exclude_modules."
                if can_say(subject, "exclude_modules")
                else "To leave modules out, do not target them."
            ),
            where=where,
            paths=tuple(paths[:MOST_PATHS]),
        )


RULE = Rule(
    code="LT040",
    name="no-contribution",
    severity=Severity.ERROR,
    summary="A rank below 1, an alpha of 0, or a dropout of everything.",
    why=(
        "The adapter adds `alpha / r · B·A·x`. With alpha 0 that is 0 and so are all gradients: "
        "the training runs and changes nothing. With r = 0 PEFT raises once the model is loaded. "
        "A pattern with 0 is no way to leave a module out."
    ),
    instead="Take a positive rank and alpha, and leave modules out by exclude_modules.",
    bad=Example("Llama-3.1-8B", {"target_modules": ["q_proj"], "r": 8, "lora_alpha": 0}),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj"], "r": 8, "lora_alpha": 16}),
    reports=("strands-labs/robots#1962",),
    needs=Needs.CONFIG,
    find=find,
)
