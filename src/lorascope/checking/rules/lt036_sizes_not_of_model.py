"""LT036: the sizes of the base model that is built are not those that are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from lorascope.checking.rule import Example, Needs, Problem, Rule
from lorascope.checking.subject import Subject
from lorascope.core.finding import Severity
from lorascope.core.stored import StoredTensor

_PREFIX = "base_model.model."
_DOWN = ".lora_A."


@dataclass(frozen=True, slots=True)
class _Width:
    """Width of what a target reads."""

    built: int
    trained: int


def find(subject: Subject) -> Iterator[Problem]:
    """Find sizes that the config's class ignores, and default sizes that an adapter refutes."""
    if subject.ignored_sizes is not None:
        yield Problem(
            entry=subject.recipe.base_model or "",
            message=f"transformers builds a model of other sizes. {subject.ignored_sizes}",
            hint="Correct the config.json of the base model: set model_type to that of its text "
            "model, or put the sizes under the sub-config that they belong to.",
        )
    elif subject.inventory is not None and subject.model.model.is_default_config:
        yield from _of_defaults(subject)


def _of_defaults(subject: Subject) -> Iterator[Problem]:
    """Find an adapter whose modules are all there, in other sizes than the class's defaults."""
    widths = [*_widths(subject)]
    wrong = Counter(width for width in widths if width.built != width.trained)
    if not wrong:
        return
    width, _ = wrong.most_common(1)[0]
    info = subject.model.model
    yield Problem(
        entry=info.reference,
        message=(
            f"{info.reference!r} names a model type alone, and its class is built with default "
            f"sizes: modules read {width.built:,} features, where the adapter was trained on "
            f"{width.trained:,}. {sum(wrong.values())} of its {len(widths)} targets do not fit."
        ),
        hint="Name the base model itself: its Hub id, its directory or its config.json.",
    )


def _widths(subject: Subject) -> Iterator[_Width]:
    by_path = subject.model.by_path
    for tensor in subject.stored or ():
        module = by_path.get(_path_of(tensor))
        if module is not None and module.in_features is not None and len(tensor.shape) == 2:
            yield _Width(module.in_features, tensor.shape[1])


def _path_of(tensor: StoredTensor) -> str:
    path, found, _ = tensor.name.removeprefix(_PREFIX).partition(_DOWN)
    return path if found else ""


RULE = Rule(
    code="LT036",
    name="sizes-not-of-model",
    severity=Severity.ERROR,
    summary="The base model that is built has other sizes than the one that is meant.",
    why=(
        "A text model's config under the `model_type` of a composite (published for gemma3) is "
        "read without complaint; its sizes are ignored, and a model of the class's default sizes "
        "is built. Every target is found there, and no number about it is right: neither the "
        "parameters, nor the memory, nor whether a trained adapter fits."
    ),
    instead="Set `model_type` to that of the text model, or put the sizes under `text_config`.",
    bad=Example(
        "gemma3_text",
        {"target_modules": ["q_proj"]},
        tensors={"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 2560)},
    ),
    good=Example(
        "gemma3_text",
        {"target_modules": ["q_proj"]},
        tensors={"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 2304)},
    ),
    reports=("huggingface/transformers#36683",),
    needs=Needs.CONFIG,
    find=find,
)
