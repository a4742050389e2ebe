"""Hand-made configurations, worked out on the inventories of `builders`."""

from __future__ import annotations

from typing import Any

import builders
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.matching.configured import Configured

LLAMA = builders.completed(
    builders.llama(input_embedding="model.embed_tokens", output_embedding="lm_head")
)


def configured(origin: str = "a.json", inventory: Inventory = LLAMA, **fields: Any) -> Configured:
    """Rank 8 and alpha 16 on queries and values, but for what is said otherwise."""
    stated = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]} | fields
    found = match(inventory, LoraSpec.from_dict(stated))
    return Configured(origin, inventory, stated, found, "owner/tiny")


ADAPTER = configured()
FULLER = configured(
    "b.yaml",
    target_modules=["v_proj", "o_proj"],
    rank_pattern={r"layers\.0\..*v_proj": 4},
    use_dora=True,
    bias="all",
    modules_to_save=["lm_head"],
    trainable_token_indices=[1, 2, 5],
    lora_dropout=0.05,
)
"""Differs from `ADAPTER` in all that can differ on a model without biases."""
