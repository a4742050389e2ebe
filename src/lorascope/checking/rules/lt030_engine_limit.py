"""LT030: a serving engine does not take the adapter, or leaves a part of it out."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.adapt_hint import adapt_hint, is_rewritten
from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core import finding
from lorascope.core.spec import LoraSpec
from lorascope.serving.adapter_forms import adapter_forms
from lorascope.serving.engines import Engine, Scale, engines
from lorascope.serving.troubles import Severity, Trouble, limits, scales


def find(subject: Subject) -> Iterator[Problem]:
    """Find what the engines that are asked for refuse, ignore or need an option for."""
    for engine in (engines()[name] for name in subject.engines if name in engines()):
        hint = adapt_hint(subject, engine)
        spec, stored = subject.spec, subject.stored
        for trouble in limits(engine, spec, subject.match, subject.inventory, stored):
            is_done = trouble.severity.is_hard and is_rewritten(trouble, subject)
            yield _problem(trouble, hint if is_done else None)
        yield from _of_rslora(engine, spec, hint)
        yield from _of_padding(subject, engine, hint)


_RESULTS = {
    Severity.REFUSED: "does not load it",
    Severity.CHANGED: "leaves it out without an error, so that its answers are others",
    Severity.OPTION: "serves it only with an option",
}


def _problem(trouble: Trouble, hint: str | None) -> Problem:
    return Problem(
        entry=trouble.entry,
        message=_message(trouble),
        hint=hint or trouble.instead,
        where=trouble.where,
        paths=trouble.paths[:MOST_PATHS],
        severity=None if trouble.severity.is_hard else finding.Severity.WARNING,
    )


def _message(trouble: Trouble) -> str:
    engine = trouble.engine.shown
    if trouble.severity is Severity.NOTE:
        return f"{engine} {trouble.does} {trouble.inside}: {trouble.why}."
    why = f": {trouble.why}" if trouble.why else ""
    if trouble.severity is Severity.REFUSED and trouble.does.startswith("needs "):
        why = f": it {trouble.does.removesuffix(' for')}, because {trouble.why}"
    return f"{trouble.what}: {engine} {_RESULTS[trouble.severity]}{why}."


def _of_rslora(engine: Engine, spec: LoraSpec, hint: str | None) -> Iterator[Problem]:
    if not spec.use_rslora or engine.scale in (Scale.AS_TRAINED, Scale.ONE_FOR_ALL):
        return
    rank = max(spec.r, 1)
    if rank == 1:
        return
    again = (
        f"Train without use_rslora and with lora_alpha {spec.lora_alpha * rank**0.5:.4g}, "
        "which is the same scale."
    )
    yield Problem(
        entry="true",
        message=(
            f"{engine.shown} does not read use_rslora: x{rank**-0.5:.4g} on all modules, trained "
            f"at the scale {spec.lora_alpha / rank**0.5:.4g} and served at "
            f"{spec.lora_alpha / rank:.4g}."
        ),
        hint=hint or again,
        where="use_rslora",
    )


def _of_padding(subject: Subject, engine: Engine, hint: str | None) -> Iterator[Problem]:
    """Find ranks that the engine pads and then scales by; LT028 has those that a pattern sets."""
    form = adapter_forms()[engine.name]
    spec, match, stored = subject.spec, subject.match, subject.stored
    padded = form.rank_from(spec.r)
    if not form.block or match is None or padded == spec.r:
        return
    keyed = {each.path for each in match.targets if each.rank_key or each.alpha_key}
    found = limits(engine, spec, match, subject.inventory, stored)
    others = [
        part
        for part in scales(engine, match, subject.inventory, found, spec, stored)
        if not part.is_same and keyed.isdisjoint(part.paths)
    ]
    if not others:
        return
    yield Problem(
        entry=str(spec.r),
        message=(
            f"{engine.shown} pads rank {spec.r} to {padded}, and after the first kind of layer it"
            f" scales by that: {'; '.join(part.text for part in others)}."
        ),
        hint=hint or f"Train with r {padded}, or another rank that it does not pad: 8, 16, 32, 48.",
        where="r",
        paths=tuple(path for part in others for path in part.paths)[:MOST_PATHS],
    )


RULE = Rule(
    code="LT030",
    name="engine-limit",
    severity=finding.Severity.ERROR,
    summary="A serving engine refuses the adapter, or leaves a part of it out.",
    why=(
        "Engines take less than PEFT trains. vLLM refuses DoRA, `modules_to_save`, ranks above its "
        "limit and names that its class of the model has not; SGLang refuses mixed ranks and half "
        "of a layer that it joins, llama.cpp whatever is no pair of low-rank matrices; TGI and "
        "LoRAX skip it silently. That is seen only when the trained adapter is to be served. "
        "Which version was read is said with each finding."
    ),
    instead="Train what the engine takes, or merge the adapter into the model before serving.",
    bad=Example(
        "Llama-3.1-8B",
        {"target_modules": ["q_proj", "v_proj"], "use_dora": True},
        engines=("vllm",),
    ),
    good=Example("Llama-3.1-8B", {"target_modules": ["q_proj", "v_proj"]}, engines=("vllm",)),
    reports=("vllm-project/vllm#2847", "vllm-project/vllm#6983"),
    needs=Needs.CONFIG,
    find=find,
)
