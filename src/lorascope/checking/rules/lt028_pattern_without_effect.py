"""LT028: a rank or alpha pattern does not do what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorascope.checking.adapt_hint import adapt_hint
from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.words import listed
from lorascope.core.errors import SpecificationError, UnmodelledError
from lorascope.core.finding import Severity
from lorascope.matching import EntryMatch, MatchedTarget, Where
from lorascope.matching.patterns import KeyedNames
from lorascope.serving.engines import Engine, Feature, engines
from lorascope.serving.parts import ServedPart
from lorascope.serving.troubles import limits, scales

_PATTERNS = (Where.RANK_PATTERN, Where.ALPHA_PATTERN)


def find(subject: Subject) -> Iterator[Problem]:
    """Find keys that decide for no target, and engines that apply another scale than trained."""
    if subject.match is None or not subject.targets:
        return
    known = KeyedNames(target.path for target in subject.targets)
    by_path = {target.path: target for target in reversed(subject.targets)}
    for where in _PATTERNS:
        for entry in subject.entries_of(where):
            if not entry.matched:
                yield _without_effect(subject, entry, known, by_path)
    for name in subject.engines:
        engine = engines().get(name)
        if engine is not None:
            found = tuple(_other_scale(subject, engine, Severity.ERROR))
            yield from found
            if not found and engine.older is not None:
                yield from _other_scale(subject, engine.older, Severity.WARNING)


def _without_effect(
    subject: Subject,
    entry: EntryMatch,
    known: KeyedNames,
    by_path: Mapping[str, MatchedTarget],
) -> Problem:
    is_rank = entry.where is Where.RANK_PATTERN
    pattern: Mapping[str, float] = (
        subject.spec.rank_pattern if is_rank else (subject.spec.alpha_pattern)
    )
    what, base = ("rank", subject.spec.r) if is_rank else ("alpha", subject.spec.lora_alpha)
    try:
        reached = known.matching(entry.entry, entry.where, subject.regex)
    except UnmodelledError:
        raise
    except SpecificationError:
        reached = []
    if not reached:
        near = entry.nearest
        return Problem(
            entry=entry.entry,
            message=(
                f"No adapted module's name matches it, so {what} {pattern[entry.entry]:g} is set "
                f"nowhere and {base:g} stays."
            ),
            hint=f"Names like it are {listed(near)}." if near else _how_keys_match(subject),
            where=entry.where,
        )
    first = by_path[reached[0]]
    earlier = first.rank_key if is_rank else first.alpha_key
    value = first.rank if is_rank else first.alpha
    return Problem(
        entry=entry.entry,
        message=(
            f"It is never asked: the earlier key {earlier!r} decides for all {len(reached)} "
            f"modules that it matches, with {what} {value:g} instead of {pattern[entry.entry]:g}."
        ),
        hint="The first key that matches wins: put the narrower one before the wider one.",
        where=entry.where,
        paths=tuple(reached[:MOST_PATHS]),
    )


def _how_keys_match(subject: Subject) -> str:
    example = subject.targets[0].path
    return (
        "A key is a regular expression for the end of the name, for example "
        f"{example.rpartition('.')[2]!r} or {example!r}."
    )


def _other_scale(subject: Subject, engine: Engine, severity: Severity) -> Iterator[Problem]:
    """Find targets that the engine scales otherwise because it does not read the patterns."""
    if Feature.PATTERNS in engine.refuses and any(
        target.rank != subject.spec.r for target in subject.targets
    ):
        return
    spec = subject.spec
    others = _others(subject, engine)
    for where, given in zip(_PATTERNS, (spec.rank_pattern, spec.alpha_pattern), strict=True):
        keys = {t.path: _key(t, where) for t in subject.targets} if given else {}
        parts = [part for part in others if any(keys.get(path) for path in part.paths)]
        if not parts:
            continue
        first = next(path for path in parts[0].paths if keys.get(path))
        said = "; ".join(
            f"{part.text}, trained at the scale {part.trained:g} and served at {part.served:g}"
            for part in parts[:_MOST_PARTS]
        )
        yield Problem(
            entry=keys[first] or "",
            message=f"{engine.shown} does not read it: {said}.",
            hint=adapt_hint(subject, engine)
            or f"{_right_for(engine)}; or train with one rank and one alpha.",
            where=where,
            paths=tuple(path for part in parts for path in part.paths)[:MOST_PATHS],
            severity=severity,
        )
        return


def _others(subject: Subject, engine: Engine) -> list[ServedPart]:
    """Return what is served, and at another scale; what is left out has a finding of its own."""
    if subject.match is None:
        return []
    spec, stored = subject.spec, subject.stored
    found = limits(engine, spec, subject.match, subject.inventory, stored)
    parts = scales(engine, subject.match, subject.inventory, found, spec, stored)
    return [part for part in parts if not part.is_same]


_MOST_PARTS = 4
"""Factors of one engine that are named."""


def _key(target: MatchedTarget, where: Where) -> str | None:
    return target.rank_key if where is Where.RANK_PATTERN else target.alpha_key


def _right_for(engine: Engine) -> str:
    if engine.scale.value.startswith("one-for-all"):
        return "Give each rank in rank_pattern an alpha in alpha_pattern with the same alpha / r"
    return "Leave alpha_pattern out: it divides lora_alpha by the rank of each tensor"


RULE = Rule(
    code="LT028",
    name="pattern-without-effect",
    severity=Severity.WARNING,
    summary="A key of `rank_pattern` or `alpha_pattern` decides nothing, or an engine ignores it.",
    why=(
        "PEFT takes the first key that matches the end of a module's name. A key that matches "
        "none, or only what an earlier key has decided, changes nothing. And TGI, LoRAX and older "
        "releases of vLLM read no pattern at all: they scale every module by the global alpha / r, "
        "so that a module trained at r = 4 and alpha = 16 beside r = 8 answers at half its "
        "strength. llama.cpp divides the global alpha by the rank of each tensor."
    ),
    instead=(
        "Put narrow keys before wide ones, write the names of this model, and keep alpha / r the "
        "same in all modules if the adapter is to be served."
    ),
    bad=Example(
        "Llama-3.1-8B",
        {
            "target_modules": ["q_proj", "v_proj", "up_proj"],
            "r": 8,
            "lora_alpha": 16,
            "rank_pattern": {"up_proj": 4},
        },
        engines=("tgi",),
    ),
    good=Example(
        "Llama-3.1-8B",
        {
            "target_modules": ["q_proj", "v_proj", "up_proj"],
            "r": 8,
            "lora_alpha": 16,
            "rank_pattern": {"up_proj": 4},
            "alpha_pattern": {"up_proj": 8},
        },
        engines=("tgi",),
    ),
    reports=("huggingface/peft#3582", "vllm-project/vllm#55545"),
    needs=Needs.MATCH,
    find=find,
)
