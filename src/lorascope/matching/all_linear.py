"""What `target_modules="all-linear"` stands for in one model."""

from __future__ import annotations

from collections.abc import Mapping

from lorascope.core.inventory import ModelInfo, Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec

SHORTHAND = "all-linear"


def is_all_linear(spec: LoraSpec) -> bool:
    """Whether `target_modules` is the shorthand, in any case. In a list it is just a name."""
    return isinstance(spec.target_modules, str) and spec.target_modules.lower() == SHORTHAND


def all_linear_names(
    modules: Mapping[str, Module], model: ModelInfo, task_type: str | None
) -> tuple[str, ...]:
    """Return the full names PEFT puts in its place: every `nn.Linear` and `Conv1D`.

    Of a transformers model the output embedding is left out; if there is none and the task is
    SEQ_CLS, then the classifier head.

    Source: peft 0.21.2, `_maybe_include_all_linear_layers` in `tuners/tuners_utils.py`.
    """
    left_out = None
    if model.is_pretrained_model:
        left_out = model.output_embedding
        if left_out is None and task_type == "SEQ_CLS":
            left_out = model.classifier_head
    return tuple(
        path
        for path, module in modules.items()
        if module.kind in (Kind.LINEAR, Kind.CONV1D) and path != left_out
    )
