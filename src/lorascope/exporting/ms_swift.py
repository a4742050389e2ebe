"""ms-swift's options.

Source: ms-swift 4.6.0, `swift/arguments/tuner_args.py` and `swift/pipelines/train/tuner.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Trainer
from lorascope.core.recipe import Tool
from lorascope.exporting.exporter import Draft
from lorascope.exporting.saying import Words
from lorascope.exporting.spoken import Fields, owned_keys, spoken
from lorascope.exporting.told import Told, exporter
from lorascope.formats.ms_swift import DIALECT, KEYS
from lorascope.formats.swift_targets import ALL_LINEAR
from lorascope.matching.configured import Configured

WORDS = Words(
    Tool.MS_SWIFT,
    KEYS,
    whole=frozenset({"lora_alpha"}),
    known={"bias": frozenset({"none", "all"}), "task_type": frozenset({"seq_cls"})},
)


def _context(wanted: Configured) -> Mapping[str, Any]:
    revision = {} if wanted.revision is None else {"model_revision": wanted.revision}
    return {"model": wanted.base_model, **revision, "tuner_type": "lora"}


def _adjust(fields: Fields, _: Configured) -> Iterator[Fields]:
    task = fields.get("task_type")
    init = fields.get("init_lora_weights", True)
    targets = fields["target_modules"]
    yield {
        **fields,
        "task_type": None if task in (None, "CAUSAL_LM") else str(task).lower(),
        "init_lora_weights": str(init).lower() if isinstance(init, bool) and not init else init,
        # PEFT's all linears are not ms-swift's: it has its own, which is tried and compared.
        "target_modules": (ALL_LINEAR,) if targets == ALL_LINEAR else targets,
    }


def _drafts(wanted: Configured) -> Iterator[Draft]:
    yield from spoken(wanted, WORDS, _context, adjust=_adjust)


EXPORTER = exporter(
    Told(
        to=Trainer.MS_SWIFT,
        version=DIALECT.version,
        file_name="swift.sh",
        command="swift sft",
        drafts=_drafts,
        context={
            "model": None,
            "model_revision": None,
            "tuner_type": frozenset({"lora"}),
        },
        owned=owned_keys(WORDS, "train_type"),
        model_key="model",
        has_heads=True,
        hints={
            "r": "ms-swift has one rank for all modules.",
            "lora_alpha": "ms-swift has one alpha for all modules, a whole number.",
        },
    )
)
