"""Heads that PEFT adds to `modules_to_save` by itself, for the task types that train one."""

from __future__ import annotations

from dataclasses import replace

from lorascope.core.spec import LoraSpec

_HEADS = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
}
"""Source: peft 0.21.2, the constructors of the three classes in `peft_model.py`."""


def with_early_heads(spec: LoraSpec) -> LoraSpec:
    """Return the configuration with the heads that PEFT adds before it selects modules.

    Only SEQ_CLS does; with the other two task types LoRA may still go into the head, and saving
    it then fails.
    """
    if spec.task_type != "SEQ_CLS":
        return spec
    return replace(spec, modules_to_save=(*(spec.modules_to_save or ()), *_HEADS["SEQ_CLS"]))


def late_heads(task_type: str | None) -> tuple[str, ...]:
    """Return the heads that PEFT saves after everything else; empty for most task types."""
    return _HEADS.get(task_type or "", ())
