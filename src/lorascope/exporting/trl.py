"""TRL's options.

Source: trl 1.16.0, `trl/trainer/model_config.py` and `get_peft_config` in `trl/trainer/utils.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Trainer
from lorascope.core.recipe import Tool
from lorascope.exporting.exporter import Draft
from lorascope.exporting.saying import Words
from lorascope.exporting.spoken import Fields, owned_keys, spoken
from lorascope.exporting.told import Told, exporter
from lorascope.formats.trl import DIALECT, KEYS
from lorascope.matching.configured import Configured

WORDS = Words(Tool.TRL, KEYS)


def _context(wanted: Configured) -> Mapping[str, Any]:
    revision = {} if wanted.revision is None else {"model_revision": wanted.revision}
    return {"model_name_or_path": wanted.base_model, **revision, "use_peft": True}


def _adjust(fields: Fields, wanted: Configured) -> Iterator[Fields]:
    """Write a list of one as a pattern: TRL hands its only entry to PEFT as a text.

    Source: `__post_init__` of `ModelConfig`.
    """
    task = fields.get("task_type")
    fields = {**fields, "task_type": None if task == "CAUSAL_LM" else task}
    targets = fields["target_modules"]
    if isinstance(targets, str) or len(targets) != 1:
        yield fields
        return
    name = re.escape(targets[0])
    is_full = targets[0] in wanted.inventory.by_path
    yield {**fields, "target_modules": name if is_full else rf".*\.{name}"}


def _drafts(wanted: Configured) -> Iterator[Draft]:
    yield from spoken(wanted, WORDS, _context, adjust=_adjust)


EXPORTER = exporter(
    Told(
        to=Trainer.TRL,
        version=DIALECT.version,
        file_name="trl.sh",
        command="trl sft",
        drafts=_drafts,
        context={"model_name_or_path": None, "model_revision": None, "use_peft": frozenset({True})},
        owned=owned_keys(WORDS),
        model_key="model_name_or_path",
        hints={
            "r": "TRL's options have one rank for all modules; its Python takes any LoraConfig.",
            "lora_alpha": "TRL's options have one alpha for all, a whole number; its Python takes"
            " any LoraConfig.",
            "task_type": "For a reward model, which has one score: trl reward with --lora_task_type"
            " SEQ_CLS.",
            **dict.fromkeys(
                ("bias", "init_lora_weights", "trainable_token_indices", "lora_bias"),
                "TRL's options lack it; its Python takes any LoraConfig.",
            ),
        },
    )
)
