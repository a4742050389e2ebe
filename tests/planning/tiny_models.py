"""Tiny models of real classes, on the meta device or with real weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory
from lorascope.roles import assign

_DECODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "head_dim": 8,
}
_ENCODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 64,
    "max_position_embeddings": 32,
}
_QWEN2_MOE = {
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "mlp_only_layers": [0],
}
_DEEPSEEK = {
    "num_key_value_heads": 4,
    "head_dim": 4,
    "moe_intermediate_size": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "n_group": 1,
    "topk_group": 1,
}
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}

_CONFIGS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "llama": ("AutoModelForCausalLM", "llama", _DECODER),
    "llama_seq_cls": (
        "AutoModelForSequenceClassification",
        "llama",
        {**_DECODER, "num_labels": 3, "pad_token_id": 0},
    ),
    "mistral": ("AutoModelForCausalLM", "mistral", _DECODER),
    "phi3": (
        "AutoModelForCausalLM",
        "phi3",
        {**_DECODER, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "gpt2": (
        "AutoModelForCausalLM",
        "gpt2",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 32, "vocab_size": 64},
    ),
    "falcon": (
        "AutoModelForCausalLM",
        "falcon",
        {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 64},
    ),
    "opt": (
        "AutoModelForCausalLM",
        "opt",
        {
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "vocab_size": 64,
            "max_position_embeddings": 32,
        },
    ),
    "qwen3_moe": (
        "AutoModelForCausalLM",
        "qwen3_moe",
        {
            **_DECODER,
            "moe_intermediate_size": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "mlp_only_layers": [0],
        },
    ),
    "qwen3_moe_deep": (
        "AutoModelForCausalLM",
        "qwen3_moe",
        {**_DECODER, "num_hidden_layers": 12, "moe_intermediate_size": 16, "num_experts": 4},
    ),
    "qwen2_moe": ("AutoModelForCausalLM", "qwen2_moe", {**_DECODER, **_QWEN2_MOE}),
    "mixtral": (
        "AutoModelForCausalLM",
        "mixtral",
        {**_DECODER, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "gpt_oss": (
        "AutoModelForCausalLM",
        "gpt_oss",
        {**_DECODER, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "deepseek_v3": ("AutoModelForCausalLM", "deepseek_v3", {**_DECODER, **_DEEPSEEK}),
    "deepseek_lite": (
        "AutoModelForCausalLM",
        "deepseek_v3",
        {**_DECODER, **_DEEPSEEK, "q_lora_rank": None},
    ),
    "mamba": (
        "AutoModelForCausalLM",
        "mamba",
        {"hidden_size": 32, "num_hidden_layers": 3, "vocab_size": 64, "state_size": 4},
    ),
    "jamba": (
        "AutoModelForCausalLM",
        "jamba",
        {
            **_DECODER,
            "num_experts": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "mamba_dt_rank": 4,
            "mamba_d_state": 4,
            "use_mamba_kernels": False,
        },
    ),
    "falcon_h1": (
        "AutoModelForCausalLM",
        "falcon_h1",
        {**_DECODER, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8},
    ),
    "qwen3_next": (
        "AutoModelForCausalLM",
        "qwen3_next",
        {
            **_DECODER,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
    ),
    "t5": (
        "AutoModelForSeq2SeqLM",
        "t5",
        {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 3, "num_heads": 4, "vocab_size": 64},
    ),
    "whisper": (
        "AutoModelForSpeechSeq2Seq",
        "whisper",
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "vocab_size": 64,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        },
    ),
    "bert_seq_cls": ("AutoModelForSequenceClassification", "bert", {**_ENCODER, "num_labels": 3}),
    "roberta_seq_cls": ("AutoModelForSequenceClassification", "roberta", _ENCODER),
    "bert_token_cls": ("AutoModelForTokenClassification", "bert", _ENCODER),
    "bert_qa": ("AutoModelForQuestionAnswering", "bert", _ENCODER),
    "distilbert_seq_cls": (
        "AutoModelForSequenceClassification",
        "distilbert",
        {"dim": 32, "hidden_dim": 48, "n_layers": 3, "n_heads": 4, "vocab_size": 64},
    ),
    "albert": (
        "AutoModelForMaskedLM",
        "albert",
        {**_ENCODER, "embedding_size": 16, "pad_token_id": 0},
    ),
    "gemma3": (
        "AutoModelForImageTextToText",
        "gemma3",
        {"text_config": _DECODER, "vision_config": _VISION, "mm_tokens_per_image": 4},
    ),
    "llava": (
        "AutoModelForImageTextToText",
        "llava",
        {
            "text_config": {**_DECODER, "model_type": "llama"},
            "vision_config": {**_VISION, "model_type": "clip_vision_model"},
        },
    ),
}
NAMES = tuple(name for name in _CONFIGS if name != "qwen3_moe_deep")


def config(name: str) -> Any:
    """The config of one of `NAMES`."""
    _, model_type, values = _CONFIGS[name]
    return transformers.AutoConfig.for_model(model_type, **copy.deepcopy(dict(values)))


def on_meta(name: str) -> nn.Module:
    """A new model without weights."""
    with torch.device("meta"):
        return _build(name)


def with_weights(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A new model with random weights."""
    torch.manual_seed(0)
    return _build(name).to(dtype)


@cache
def inventory(name: str) -> Inventory:
    """Its inventory with roles."""
    return assign(inventory_of(on_meta(name), reference=name))


def _build(name: str) -> nn.Module:
    auto: Callable[..., nn.Module] = getattr(transformers, _CONFIGS[name][0]).from_config
    return auto(config(name))
