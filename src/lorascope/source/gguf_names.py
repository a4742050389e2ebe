"""GGUF's tensor names in transformers' words, for the common architectures.

Source: the name map of llama.cpp's converter (`gguf.tensor_mapping`, gguf 0.19.0), read backwards;
a test holds it against the classes of transformers. Stacks of experts keep the file's names,
because transformers stores them fused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BLOCK = re.compile(r"blk\.(?P<index>\d+)\.(?P<name>[^.]+)\.(?P<parameter>.+)")
_OUTSIDE = re.compile(r"(?P<name>[^.]+)\.(?P<parameter>[^.]+)")


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of one family."""

    blocks: str
    """Path of the list of blocks."""
    inside: Mapping[str, str]
    """In a block: GGUF name → path below the block."""
    outside: Mapping[str, str]


_MODEL = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ATTENTION = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
}
_GATED = {"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
_LLAMA = _Names(
    "model.layers",
    {
        **_ATTENTION,
        **_GATED,
        "ffn_norm": "post_attention_layernorm",
        "ffn_gate_inp": "mlp.gate",
        "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
        "ffn_up_shexp": "mlp.shared_expert.up_proj",
        "ffn_down_shexp": "mlp.shared_expert.down_proj",
        "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    },
    _MODEL,
)
_SANDWICH = _Names(
    "model.layers",
    {
        **_ATTENTION,
        **_GATED,
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
    _MODEL,
)

FAMILIES: Mapping[str, _Names] = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen2moe": _LLAMA,
    "qwen3": _LLAMA,
    "qwen3moe": _LLAMA,
    "gemma": _LLAMA,
    "granite": _LLAMA,
    "gemma2": _SANDWICH,
    "gemma3": _SANDWICH,
    "phi3": _Names(
        "model.layers",
        {
            "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj",
            "attn_norm": "input_layernorm",
            "ffn_norm": "post_attention_layernorm",
            "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj",
        },
        _MODEL,
    ),
    "starcoder2": _Names(
        "model.layers",
        {
            **_ATTENTION,
            "ffn_norm": "post_attention_layernorm",
            "ffn_up": "mlp.c_fc",
            "ffn_down": "mlp.c_proj",
        },
        _MODEL,
    ),
    "falcon": _Names(
        "transformer.h",
        {
            "attn_qkv": "self_attention.query_key_value",
            "attn_output": "self_attention.dense",
            "attn_norm": "input_layernorm",
            "ffn_up": "mlp.dense_h_to_4h",
            "ffn_down": "mlp.dense_4h_to_h",
        },
        {
            "token_embd": "transformer.word_embeddings",
            "output_norm": "transformer.ln_f",
            "output": "lm_head",
        },
    ),
    "gpt2": _Names(
        "transformer.h",
        {
            "attn_norm": "ln_1",
            "attn_qkv": "attn.c_attn",
            "attn_output": "attn.c_proj",
            "ffn_norm": "ln_2",
            "ffn_up": "mlp.c_fc",
            "ffn_down": "mlp.c_proj",
        },
        {
            "token_embd": "transformer.wte",
            "position_embd": "transformer.wpe",
            "output_norm": "transformer.ln_f",
            "output": "lm_head",
        },
    ),
}
"""By GGUF's `general.architecture`."""


def transformers_name(name: str, architecture: str) -> str | None:
    """Return what transformers calls the tensor `name`, or None if no table says."""
    names = FAMILIES.get(architecture)
    if names is None:
        return None
    inside = _BLOCK.fullmatch(name)
    if inside is not None:
        path = names.inside.get(inside["name"])
        where = f"{names.blocks}.{inside['index']}."
        return None if path is None else f"{where}{path}.{inside['parameter']}"
    outside = _OUTSIDE.fullmatch(name)
    path = None if outside is None else names.outside.get(outside["name"])
    return None if path is None or outside is None else f"{path}.{outside['parameter']}"
