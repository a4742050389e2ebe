"""Small models of twelve families, built on the meta device, and how their goldens are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoModelForSpeechSeq2Seq,
    PreTrainedModel,
)

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory, Module
from lorascope.roles import assign

FAMILIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bert": (AutoModel, {"num_hidden_layers": 2}),
    "deepseek_v3": (AutoModelForCausalLM, {"num_hidden_layers": 4, "first_k_dense_replace": 1}),
    "falcon": (AutoModelForCausalLM, {"num_hidden_layers": 2}),
    "gpt2": (AutoModelForCausalLM, {"n_layer": 2}),
    "jamba": (AutoModelForCausalLM, {"num_hidden_layers": 8}),
    "llama": (AutoModelForCausalLM, {"num_hidden_layers": 2}),
    "llava": (AutoModelForImageTextToText, {}),
    "mixtral": (AutoModelForCausalLM, {"num_hidden_layers": 2}),
    "phi3": (AutoModelForCausalLM, {"num_hidden_layers": 2}),
    "qwen2_moe": (AutoModelForCausalLM, {"num_hidden_layers": 2}),
    "qwen3_next": (AutoModelForCausalLM, {"num_hidden_layers": 4}),
    "swin": (AutoModel, {"depths": [1, 2], "num_heads": [2, 4]}),
    "t5": (AutoModelForSeq2SeqLM, {"num_layers": 2}),
    "whisper": (AutoModelForSpeechSeq2Seq, {"encoder_layers": 2, "decoder_layers": 2}),
}
"""Model type → auto-class and what of its default config is made smaller."""


def build_family(family: str) -> PreTrainedModel:
    """Build a family's model on the meta device."""
    auto_class, settings = FAMILIES[family]
    config = AutoConfig.for_model(family, **settings)
    with torch.device("meta"):
        return auto_class.from_config(config)


def assigned(family: str) -> Inventory:
    """Return a family's inventory with roles."""
    return assign(inventory_of(build_family(family), reference=family))


def golden_lines(inventory: Inventory) -> Iterator[str]:
    """Yield one line for each thing that LoRA can adapt or that routes, like layers folded.

    The columns: layers, folded path, role, tower, `cross` for cross-attention, hazards.
    """
    rows: dict[tuple[str, ...], list[int]] = {}
    for module in inventory.modules:
        if module.kind.adaptable or module.role.value != "unknown":
            rows.setdefault(_columns(module), []).append(
                -1 if module.layer is None else module.layer
            )
    for columns, layers in rows.items():
        yield "\t".join((_layers(layers), *columns)).rstrip()


def _columns(module: Module) -> tuple[str, ...]:
    return (
        re.sub(r"(?<=\.)\d+(?=\.|$)", "#", module.path),
        module.role.value,
        module.tower.value,
        "cross" if module.cross_attention else "-",
        " ".join(module.hazards),
    )


def _layers(layers: list[int]) -> str:
    numbers = sorted(set(layers))
    if numbers == [-1]:
        return "-"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(map(str, numbers))
