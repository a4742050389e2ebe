"""LT030: a serving engine does not take the adapter, or leaves a part of it out."""

from __future__ import annotations

from collections.abc import Iterator

from lorascope.checking.engine_features import Used, used_features
from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.spec import LoraSpec
from lorascope.serving.engines import Engine, Feature, Scale, engines


def find(subject: Subject) -> Iterator[Problem]:
    """Find what the engines that are asked for refuse, ignore or need an option for."""
    asked = [engines()[name] for name in subject.engines if name in engines()]
    if not asked:
        return
    used = used_features(subject)
    ranks = _ranks(subject)
    for engine in asked:
        for feature, each in used.items():
            problem = _of_feature(engine, feature, each)
            if problem is not None:
                yield problem
        yield from _of_rank(engine, max(ranks))
        yield from _of_rslora(engine, subject.spec)


def _of_feature(engine: Engine, feature: Feature, used: Used) -> Problem | None:
    severity = None
    if feature in engine.refuses:
        result = "does not load it"
        instead = used.instead
    elif feature in engine.ignores:
        result = "leaves it out without an error, so that its answers are others"
        instead = used.instead
    elif feature in engine.needs:
        result = f"serves it only when started with {engine.needs[feature]}"
        instead = f"Start it with {engine.needs[feature]}. Or: {used.instead}"
        severity = Severity.WARNING
    else:
        return None
    return Problem(
        entry=used.entry,
        message=f"{used.what}: {engine.title} ({engine.version}) {result}.",
        hint=instead,
        where=used.where,
        paths=used.paths[:MOST_PATHS],
        severity=severity,
    )


def _ranks(subject: Subject) -> set[int]:
    if subject.targets:
        return {target.rank for target in subject.targets}
    return {subject.spec.r, *subject.spec.rank_pattern.values()}


def _of_rank(engine: Engine, rank: int) -> Iterator[Problem]:
    if not engine.ranks or rank <= engine.usual_rank:
        return
    enough = next((each for each in engine.ranks if each >= rank), None)
    if enough is None:
        yield Problem(
            entry=str(rank),
            message=(
                f"Rank {rank} is above {engine.ranks[-1]}, the largest that {engine.title} "
                f"({engine.version}) serves."
            ),
            hint=f"Train with r up to {engine.ranks[-1]}, or merge the adapter into the model.",
            where="r",
        )
        return
    yield Problem(
        entry=str(rank),
        message=(
            f"Rank {rank} is above {engine.usual_rank}, the limit of {engine.title} "
            f"({engine.version}) if nobody sets another: it refuses the adapter."
        ),
        hint=f"Start it with {engine.rank_option} {enough}.",
        where="r",
        severity=Severity.WARNING,
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
            f"{engine.title} ({engine.version}) does not read use_rslora: the adapter is trained "
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
        "Engines take less than PEFT trains. vLLM refuses DoRA, `modules_to_save` and ranks above "
        "its limit, SGLang any rank or alpha pattern, llama.cpp whatever is no pair of low-rank "
        "matrices; TGI and LoRAX skip it silently. That is seen only when the trained adapter is "
        "to be served. Which version was read is said with each finding."
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
