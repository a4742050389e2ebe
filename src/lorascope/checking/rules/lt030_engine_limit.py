"""LT030: a serving engine does not take the adapter, or leaves a part of it out."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.spec import LoraSpec
from lorascope.serving import troubles
from lorascope.serving.engines import Engine, Scale, engines
from lorascope.serving.support import support_of
from lorascope.serving.troubles import Trouble, limits


def find(subject: Subject) -> Iterator[Problem]:
    """Find what the engines that are asked for refuse, ignore or need an option for."""
    for engine in (engines()[name] for name in subject.engines if name in engines()):
        yield from _of_model(subject, engine)
        for trouble in limits(engine, subject.spec, subject.match, subject.inventory):
            yield _problem(trouble)
        yield from _of_rslora(engine, subject.spec)


def _of_model(subject: Subject, engine: Engine) -> Iterator[Problem]:
    """Say that an engine has no class of its own for the model, so that names are not judged."""
    if subject.inventory is None or not subject.inventory.model.is_transformers_class:
        return
    support = support_of(engine, subject.inventory)
    if support.is_unknown:
        yield Problem(
            entry=support.architecture,
            message=(
                f"{engine.shown} has no class of its own for {support.architecture}: it runs it"
                " with transformers if it can, or refuses the model."
            ),
            hint="Try whether it serves the base model before training for it.",
            severity=Severity.WARNING,
        )


_RESULTS = {
    troubles.Severity.REFUSED: "does not load it",
    troubles.Severity.CHANGED: "leaves it out without an error, so that its answers are others",
    troubles.Severity.OPTION: "serves it only with an option",
}


def _problem(trouble: Trouble) -> Problem:
    why = f": {trouble.why}" if trouble.why else ""
    is_option = trouble.severity is troubles.Severity.OPTION
    return Problem(
        entry=trouble.entry,
        message=f"{trouble.what}: {trouble.engine.shown} {_RESULTS[trouble.severity]}{why}.",
        hint=trouble.instead,
        where=trouble.where,
        paths=trouble.paths[:MOST_PATHS],
        severity=Severity.WARNING if is_option else None,
    )


def _of_rslora(engine: Engine, spec: LoraSpec) -> Iterator[Problem]:
    if not spec.use_rslora or engine.scale in (Scale.AS_TRAINED, Scale.ONE_FOR_ALL):
        return
    rank = max(spec.r, 1)
    if rank == 1:
        return
    yield Problem(
        entry="true",
        message=(
            f"{engine.shown} does not read use_rslora: x{rank**-0.5:.4g} on all modules, trained "
            f"at the scale {spec.lora_alpha / rank**0.5:.4g} and served at "
            f"{spec.lora_alpha / rank:.4g}."
        ),
        hint=(
            f"Train without use_rslora and with lora_alpha {spec.lora_alpha * rank**0.5:.4g}, "
            "which is the same scale."
        ),
        where="use_rslora",
    )


RULE = Rule(
    code="LT030",
    name="engine-limit",
    severity=Severity.ERROR,
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
