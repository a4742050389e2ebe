"""Tiny real architectures with enough blocks to leave some out, and plans for them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Plan
from lorascope.planning import make_plan, request_from
from lorascope.roles import assign

_DECODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 9,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "head_dim": 8,
    "max_position_embeddings": 128,
}
TINY = {**_DECODER, "num_hidden_layers": 2}
_CAUSAL, _SEQ2SEQ = "AutoModelForCausalLM", "AutoModelForSeq2SeqLM"

_CONFIGS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "llama": (_CAUSAL, "llama", _DECODER),
    "phi3": (_CAUSAL, "phi3", {**_DECODER, "pad_token_id": 0}),
    "gpt2": (
        _CAUSAL,
        "gpt2",
        {"n_embd": 32, "n_layer": 8, "n_head": 4, "vocab_size": 64, "n_positions": 128},
    ),
    "gemma2": (_CAUSAL, "gemma2", {**_DECODER, "num_hidden_layers": 11, "sliding_window": 8}),
    "gemma3": (
        _CAUSAL,
        "gemma3_text",
        {
            **_DECODER,
            "num_hidden_layers": 16,
            "sliding_window": 8,
            "layer_types": (["sliding_attention"] * 2 + ["full_attention"]) * 5
            + ["sliding_attention"],
        },
    ),
    "qwen3_moe": (
        _CAUSAL,
        "qwen3_moe",
        {**_DECODER, "moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2},
    ),
    "deepseek_v3": (
        _CAUSAL,
        "deepseek_v3",
        {
            **_DECODER,
            "num_hidden_layers": 10,
            "num_key_value_heads": 4,
            "head_dim": 4,
            "moe_intermediate_size": 16,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "n_shared_experts": 1,
            "first_k_dense_replace": 2,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 8,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
    "jamba": (
        _CAUSAL,
        "jamba",
        {
            **_DECODER,
            "num_hidden_layers": 12,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 4,
            "mamba_d_state": 4,
            "mamba_expand": 1,
        },
    ),
    "t5": (
        _SEQ2SEQ,
        "t5",
        {
            "d_model": 32,
            "d_ff": 48,
            "num_layers": 7,
            "num_decoder_layers": 8,
            "num_heads": 4,
            "d_kv": 8,
            "vocab_size": 64,
            "decoder_start_token_id": 0,
        },
    ),
    "bert": (
        "AutoModelForSequenceClassification",
        "bert",
        {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 8,
            "num_attention_heads": 4,
            "vocab_size": 64,
            "num_labels": 3,
        },
    ),
    "llava": (
        "AutoModelForImageTextToText",
        "llava",
        {
            "text_config": {**_DECODER, "model_type": "llama"},
            "vision_config": {
                "model_type": "clip_vision_model",
                "hidden_size": 16,
                "intermediate_size": 24,
                "num_hidden_layers": 7,
                "num_attention_heads": 2,
                "image_size": 28,
                "patch_size": 14,
            },
        },
    ),
    "short": (_CAUSAL, "llama", TINY),
}
DEEP = tuple(name for name in _CONFIGS if name != "short")


@cache
def model(name: str) -> nn.Module:
    """A model without weights; tests must not change it."""
    auto, model_type, values = _CONFIGS[name]
    config = transformers.AutoConfig.for_model(model_type, **copy.deepcopy(dict(values)))
    with torch.device("meta"):
        made: nn.Module = getattr(transformers, auto).from_config(config)
    return made


@cache
def inventory(name: str) -> Inventory:
    """Its inventory with roles."""
    return assign(inventory_of(model(name), reference=name))


def plan(name: str, preset: str | None = None, **options: Any) -> Plan:
    """A plan for it."""
    return make_plan(inventory(name), request_from(preset=preset, **options))
