"""Axolotl's YAML.

Source: axolotl 0.19.0, `utils/schemas/peft.py` and `loaders/adapter.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Loss, Trainer
from lorascope.core.recipe import Recipe, Tool
from lorascope.exporting.exporter import Draft
from lorascope.exporting.saying import Words
from lorascope.exporting.spoken import owned_keys, spoken
from lorascope.exporting.told import Told, exporter
from lorascope.formats.axolotl import DIALECT, KEYS
from lorascope.matching.configured import Configured

WORDS = Words(Tool.AXOLOTL, KEYS)

_SCORES = "For one score a sequence set reward_model: true."
_CAUSAL = (None, "CAUSAL_LM")


def _context(wanted: Configured) -> Mapping[str, Any]:
    revision = {} if wanted.revision is None else {"revision_of_model": wanted.revision}
    return {"base_model": wanted.base_model, **revision, "adapter": "lora"}


def _drafts(wanted: Configured) -> Iterator[Draft]:
    yield from spoken(wanted, WORDS, _context, losses=_losses(wanted))


def _losses(wanted: Configured) -> tuple[Loss, ...]:
    """Return that a class for scores is trained only if the file says so, where one is meant."""
    task = wanted.spec.task_type
    if task in _CAUSAL or "Classification" not in wanted.inventory.model.cls:
        return ()
    return (
        Loss(
            "task_type",
            f"Axolotl trains a causal language model unless told otherwise, and {task} is wanted.",
            _SCORES,
        ),
    )


def _beside(recipe: Recipe) -> Mapping[str, Any]:
    """Return the dropout as it is stated; the reader has none where experts are rewritten."""
    return {"lora_dropout": recipe.stated.get("lora_dropout", 0.0)}


EXPORTER = exporter(
    Told(
        to=Trainer.AXOLOTL,
        version=DIALECT.version,
        file_name="axolotl.yaml",
        drafts=_drafts,
        beside=_beside,
        context={
            "base_model": None,
            "revision_of_model": None,
            "adapter": frozenset({"lora", "qlora"}),
        },
        owned=owned_keys(WORDS, "lora_target_linear"),
        model_key="base_model",
        has_heads=True,
        hints={
            "task_type": _SCORES,
            "bias": "Axolotl always trains without biases.",
            "lora_alpha": "lora_alpha and lora_alpha_pattern take whole numbers.",
        },
    )
)
