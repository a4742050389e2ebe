"""Configurations on small models, exported, and what the tool then does with what was written."""

from __future__ import annotations

from typing import Any

import builders
from lorascope.api.configured import configured
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.exporting import export
from lorascope.matching.configured import Configured

READ = (
    Trainer.PEFT,
    Trainer.TRL,
    Trainer.AXOLOTL,
    Trainer.LLAMAFACTORY,
    Trainer.MS_SWIFT,
    Trainer.TORCHTUNE,
    Trainer.MLX_LM,
)
"""The tools whose files lorascope reads as well."""
BASE = "meta-llama/Llama-3.1-8B"


def llama(**info: Any) -> Inventory:
    known = {
        "base_model": BASE,
        "task_type": "CAUSAL_LM",
        "input_embedding": "model.embed_tokens",
        "output_embedding": "lm_head",
    }
    return builders.completed(builders.llama(**(known | info)))


def wanted(inventory: Inventory | None = None, **fields: Any) -> Configured:
    known = {"target_modules": ["q_proj", "v_proj"], "lora_alpha": 16, "lora_dropout": 0.05}
    return configured(known | fields, llama() if inventory is None else inventory)


def exported(to: str, inventory: Inventory | None = None, **fields: Any) -> Exported:
    return export(wanted(inventory, **fields), Trainer(to))


def body(found: Exported) -> str:
    """The text without the line that says what made it."""
    return found.text.partition("\n")[2]
