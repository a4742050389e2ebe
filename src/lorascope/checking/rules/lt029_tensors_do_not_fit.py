"""LT029: an adapter's tensors do not fit the base model or its own configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lorascope.checking.rule import MOST_PATHS, Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.checking.translated import is_translated
from lorascope.checking.words import listed
from lorascope.core.finding import Severity
from lorascope.core.recipe import Edit

if TYPE_CHECKING:
    from lorascope.checking.stored_fit import Fit, Misfit, Renaming

_MAGNITUDE = "lora_magnitude_vector"


def find(subject: Subject) -> Iterator[Problem]:
    """Find tensors of another shape, without a target, and targets without a tensor."""
    if not subject.stored or not subject.targets:
        return
    from lorascope.checking.stored_fit import fit_of, renaming_of  # few files have tensors

    fit = fit_of(subject)
    # Of a model type alone neither sizes nor the number of layers are those of the base model.
    is_built = not subject.model.model.is_default_config and subject.ignored_sizes is None
    yield from _empty(fit)
    yield from _bare(fit)
    yield from _ranks(fit, subject)
    if is_built:
        yield from _sizes(fit, subject)
    unknown = [name for name in fit.unknown if _MAGNITUDE not in name]
    missing = [name for name in fit.missing if _MAGNITUDE not in name]
    renaming = renaming_of(unknown, missing)
    if renaming is not None:
        yield _renamed(subject, fit, renaming)
    elif is_built and not any(map(_is_cut, unknown)):
        yield from _unknown(subject, fit, unknown)
        yield from _missing(fit, missing)
    yield from _old_experts(fit)
    yield from _dora(subject, fit)


def _is_cut(name: str) -> bool:
    """Whether an adapter's name took a part of PEFT's own name with it, see LT032."""
    return "lora_" not in name and name.endswith(("_A.weight", "_B.weight"))


def _empty(fit: Fit) -> Iterator[Problem]:
    if fit.empty:
        yield Problem(
            entry=fit.empty[0],
            message=f"{len(fit.empty)} LoRA tensors are stored without any element.",
            hint=(
                "The weights were sharded (DeepSpeed ZeRO-3, FSDP) and not gathered before they "
                "were saved: save again from the training checkpoint."
            ),
            paths=fit.empty[:MOST_PATHS],
        )


def _bare(fit: Fit) -> Iterator[Problem]:
    if fit.bare:
        yield Problem(
            entry=fit.bare[0],
            message=(
                f"{len(fit.bare)} of {fit.stored} tensors are named without base_model.model. at "
                "the start: PEFT leaves them out with no more than a warning."
            ),
            hint="Put base_model.model. before the name of each tensor.",
            paths=fit.bare[:MOST_PATHS],
        )


def _ranks(fit: Fit, subject: Subject) -> Iterator[Problem]:
    others = [misfit for misfit in fit.misfits if misfit.rank_alone]
    if not others:
        return
    from lorascope.checking.stored_fit import only_rank

    first = others[0]
    stored = only_rank(subject)
    spec = subject.spec
    is_plain = not spec.rank_pattern and all(each.wanted_rank == spec.r for each in others)
    rank = stored if is_plain and stored != spec.r else None
    yield Problem(
        entry=first.name,
        message=(
            f"{len(others)} tensors have another rank than the configuration gives them: "
            f"{first.name} is stored with {first.stored_rank}, and {first.wanted_rank} is wanted. "
            "PEFT raises a size mismatch."
        ),
        hint="Set r (and rank_pattern) to the ranks that were trained."
        if rank is None
        else f"Set r to {rank}: all stored tensors have this rank, and r is {spec.r}.",
        where="r",
        paths=_names(others),
        edits=() if rank is None else (Edit("r", None, rank),),
    )


def _sizes(fit: Fit, subject: Subject) -> Iterator[Problem]:
    others = [misfit for misfit in fit.misfits if not misfit.rank_alone]
    if others:
        first = others[0]
        yield Problem(
            entry=first.name,
            message=(
                f"{len(others)} tensors are of another size of model: {first.name} is stored as "
                f"{_shape(first.stored)}, and {subject.model.model.reference} wants "
                f"{_shape(first.wanted)}. PEFT raises a size mismatch."
            ),
            hint="Take the base model that the adapter was trained on.",
            paths=_names(others),
        )
    if fit.resized:
        first = fit.resized[0]
        yield Problem(
            entry=first.name,
            message=(
                f"The file holds the base model's {first.name} as {_shape(first.stored)}, and the "
                f"model has {_shape(first.wanted)}: the vocabulary was resized in training."
            ),
            hint=(
                f"Call model.resize_token_embeddings({first.stored[0]}) before the adapter is "
                "loaded."
            ),
            paths=_names(fit.resized),
        )


def _renamed(subject: Subject, fit: Fit, renaming: Renaming) -> Problem:
    model = subject.model.model
    translated = is_translated(renaming.old, renaming.new, model.model_type)
    if translated:
        result = (
            "PEFT with transformers 5 translates them as it loads, older releases and serving "
            "engines do not"
        )
    else:
        result = "PEFT finds no target for them and leaves them out, with no more than a warning"
    return Problem(
        entry=f"{renaming.old}*",
        message=(
            f"{renaming.tensors} of {fit.stored} tensors are named {renaming.old or 'without'}… "
            f"where {model.cls} has {renaming.new or 'no prefix'}…: {result}."
        ),
        hint=(
            "The adapter was trained on another class or release of the model: load it there, or "
            f"rename the tensors from base_model.model.{renaming.old} to "
            f"base_model.model.{renaming.new}"
        ),
        paths=fit.unknown[:MOST_PATHS],
        severity=Severity.WARNING if translated else None,
    )


def _unknown(subject: Subject, fit: Fit, unknown: Sequence[str]) -> Iterator[Problem]:
    if not unknown:
        return
    kinds = dict.fromkeys(_module_name(name) for name in unknown)
    is_lora = any("lora_" in name for name in unknown)
    yield Problem(
        entry=unknown[0],
        message=(
            f"{len(unknown)} of {fit.stored} tensors ({listed(kinds)}) have no target in "
            f"{subject.model.model.cls} with this configuration; PEFT leaves them out silently."
        ),
        hint=(
            "Name these modules in target_modules if this is the base model they were trained on; "
            "else take that one."
            if is_lora
            else "Name these modules in modules_to_save if they were trained whole."
        ),
        where="target_modules" if is_lora else "modules_to_save",
        paths=tuple(unknown[:MOST_PATHS]),
    )


def _missing(fit: Fit, missing: Sequence[str]) -> Iterator[Problem]:
    if not missing:
        return
    kinds = dict.fromkeys(_module_name(name) for name in missing)
    yield Problem(
        entry=missing[0],
        message=(
            f"{len(missing)} tensors that the configuration asks for are not in the file "
            f"({listed(kinds)}): PEFT warns, and the adapter does nothing there."
        ),
        hint=(
            "Narrow target_modules to what was trained, or check that the file is complete and "
            "the base model is the one it was trained on."
        ),
        where="target_modules",
        paths=tuple(missing[:MOST_PATHS]),
        severity=None if fit.fitting == 0 else Severity.WARNING,
    )


def _old_experts(fit: Fit) -> Iterator[Problem]:
    if fit.old_experts:
        yield Problem(
            entry=fit.old_experts[0],
            message=(
                f"{len(fit.old_experts)} tensors belong to single experts, which transformers 5 "
                "keeps as one stacked parameter; PEFT leaves them out silently."
            ),
            hint="Load the adapter with transformers 4, merge it there, and save the whole model.",
            paths=fit.old_experts[:MOST_PATHS],
        )


def _dora(subject: Subject, fit: Fit) -> Iterator[Problem]:
    stored = [name for name in fit.unknown if _MAGNITUDE in name]
    lacking = [name for name in fit.missing if _MAGNITUDE in name]
    if stored and not subject.spec.use_dora:
        yield Problem(
            entry="false",
            message=(
                f"The file has {len(stored)} DoRA magnitudes, and use_dora is not set: PEFT leaves "
                "them out silently, so that the adapter answers otherwise than it was trained."
            ),
            hint="Set use_dora to true.",
            where="use_dora",
            paths=tuple(stored[:MOST_PATHS]),
        )
    elif lacking and subject.spec.use_dora:
        yield Problem(
            entry="true",
            message=f"use_dora is set, and {len(lacking)} DoRA magnitudes are not in the file.",
            hint="Set use_dora to false if the adapter was trained without.",
            where="use_dora",
            paths=tuple(lacking[:MOST_PATHS]),
        )


def _module_name(name: str) -> str:
    """Return the last part of the module's name: `q_proj` of `….q_proj.lora_A.weight`."""
    return name.partition(".lora_")[0].removesuffix(".weight").rpartition(".")[2]


def _names(misfits: Sequence[Misfit]) -> tuple[str, ...]:
    return tuple(misfit.name for misfit in misfits[:MOST_PATHS])


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
_ONE_LAYER = {"r": 8, "target_modules": ["q_proj"], "layers_to_transform": [0]}

RULE = Rule(
    code="LT029",
    name="tensors-do-not-fit",
    severity=Severity.ERROR,
    summary="The tensors of a trained adapter do not fit the base model or its configuration.",
    why=(
        "PEFT loads an adapter by the names of its tensors. Other shapes raise; names that it does "
        "not find are left out without a word, and targets that get no tensor keep B = 0, so that "
        "the model answers as if it had never been adapted. That happens with another size of the "
        "model, with a text-only class in place of a multimodal one, and with names from before a "
        "release moved them."
    ),
    instead="Use the base model, class and release that the adapter was trained with.",
    bad=Example(
        "Llama-3.1-8B",
        _ONE_LAYER,
        tensors={f"{_LAYER}.lora_A.weight": (8, 2048), f"{_LAYER}.lora_B.weight": (2048, 8)},
    ),
    good=Example(
        "Llama-3.1-8B",
        _ONE_LAYER,
        tensors={f"{_LAYER}.lora_A.weight": (8, 4096), f"{_LAYER}.lora_B.weight": (4096, 8)},
    ),
    reports=(
        "vllm-project/vllm#34186",
        "huggingface/transformers#42491",
        "huggingface/peft#3372",
    ),
    needs=Needs.TENSORS,
    find=find,
)
