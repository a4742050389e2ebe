"""Small models on the meta device: real transformers classes, and hand-made ones with bad names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn
from transformers.pytorch_utils import Conv1D

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory

_DECODER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 40,
    "head_dim": 8,
}
_ENCODER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 40,
    "max_position_embeddings": 16,
}
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
_MOE = {"moe_intermediate_size": 8, "num_experts": 3, "num_experts_per_tok": 2}
_DEEPSEEK = {
    "head_dim": None,
    "num_key_value_heads": 2,
    "moe_intermediate_size": 8,
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
_JAMBA = {
    **_DECODER,
    "num_experts": 2,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "mamba_dt_rank": 4,
    "mamba_d_state": 4,
    "use_mamba_kernels": False,
}
_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 40}
_T5 = {"d_model": 16, "d_ff": 24, "d_kv": 8, "num_layers": 2, "num_heads": 2, "vocab_size": 40}
_PHI3 = {**_DECODER, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

_CAUSAL, _CLASSIFIER = "AutoModelForCausalLM", "AutoModelForSequenceClassification"
_CONFIGS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "llama": (_CAUSAL, "llama", _DECODER),
    "llama_tied": (_CAUSAL, "llama", {**_DECODER, "tie_word_embeddings": True}),
    "llama_seq_cls": (_CLASSIFIER, "llama", {**_DECODER, "pad_token_id": 0}),
    "gpt2": (_CAUSAL, "gpt2", _GPT2),
    "phi3": (_CAUSAL, "phi3", _PHI3),
    "mixtral": (_CAUSAL, "mixtral", {**_DECODER, "num_local_experts": 3}),
    "qwen2_moe": (
        _CAUSAL,
        "qwen2_moe",
        {**_DECODER, **_MOE, "shared_expert_intermediate_size": 8, "mlp_only_layers": [0]},
    ),
    "qwen3_moe": (_CAUSAL, "qwen3_moe", {**_DECODER, **_MOE, "mlp_only_layers": [0]}),
    "deepseek_v3": (_CAUSAL, "deepseek_v3", {**_DECODER, **_DEEPSEEK}),
    "gpt_oss": (_CAUSAL, "gpt_oss", {**_DECODER, "num_local_experts": 3}),
    "mamba": (
        _CAUSAL,
        "mamba",
        {"hidden_size": 16, "num_hidden_layers": 2, "vocab_size": 40, "state_size": 4},
    ),
    "jamba": (_CAUSAL, "jamba", _JAMBA),
    "t5": ("AutoModelForSeq2SeqLM", "t5", _T5),
    "bert": (_CLASSIFIER, "bert", _ENCODER),
    "bert_tokens": ("AutoModelForTokenClassification", "bert", _ENCODER),
    "bert_qa": ("AutoModelForQuestionAnswering", "bert", _ENCODER),
    "gemma3": (
        "AutoModelForImageTextToText",
        "gemma3",
        {"text_config": _DECODER, "vision_config": _VISION, "mm_tokens_per_image": 4},
    ),
    "vit": ("AutoModelForImageClassification", "vit", _VISION),
    "siglip": ("AutoModel", "siglip_vision_model", _VISION),
}
_TASK = {
    "llama_seq_cls": "SEQ_CLS",
    "t5": "SEQ_2_SEQ_LM",
    "bert": "SEQ_CLS",
    "bert_tokens": "TOKEN_CLS",
    "bert_qa": "QUESTION_ANS",
    "gemma3": "CAUSAL_LM",
    "vit": None,
    "siglip": "FEATURE_EXTRACTION",
}

REAL = tuple(_CONFIGS)


@dataclass(frozen=True)
class Case:
    """A model and its inventory. The model is never changed: PEFT gets a copy."""

    name: str
    model: nn.Module = field(repr=False)
    inventory: Inventory = field(repr=False)
    task_types: tuple[str | None, ...]

    def fresh(self) -> nn.Module:
        return copy.deepcopy(self.model)


@cache
def real(name: str) -> Case:
    """One of `REAL`."""
    auto, model_type, values = _CONFIGS[name]
    config = transformers.AutoConfig.for_model(model_type, **copy.deepcopy(dict(values)))
    with torch.device("meta"):
        model = getattr(transformers, auto).from_config(config)
    task = _TASK.get(name, "CAUSAL_LM")
    return Case(name, model, inventory_of(model, reference=name), (None, task))


def hand_made(model: nn.Module, name: str = "hand-made") -> Case:
    """A case of a module on the meta device that is no transformers model."""
    tasks = (None, None, "SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
    return Case(name, model, inventory_of(model, reference=name), tasks)


class Holder(nn.Module):
    """Holds parameters directly, as experts do."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.empty(shape)))


class TransposedHolder(Holder):
    is_transposed = True


class LinearWithChild(nn.Linear):
    """A linear with a module inside, which PEFT's layer hides."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.inner = nn.Linear(inputs, inputs)


class TwiceHeld(nn.Module):
    """One tensor under two names of the same module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(3, 4))
        self.second = self.first


class Bare(nn.Module):
    """A container that is no list and no dictionary."""


LEAVES = {
    "linear": lambda: nn.Linear(4, 6),
    "linear_no_bias": lambda: nn.Linear(6, 4, bias=False),
    "square": lambda: nn.Linear(4, 4),
    "linear_with_child": lambda: LinearWithChild(4, 6),
    "embedding": lambda: nn.Embedding(10, 4),
    "conv1d": lambda: nn.Conv1d(4, 6, 3),
    "conv2d": lambda: nn.Conv2d(4, 8, (3, 2), groups=4),
    "conv3d": lambda: nn.Conv3d(2, 4, 2, bias=False, groups=2),
    "transposed_conv": lambda: nn.ConvTranspose1d(4, 6, 3),
    "gpt2_linear": lambda: Conv1D(6, 4),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "attention_other_width": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=3),
    "norm": lambda: nn.LayerNorm(4),
    "batch_norm": lambda: nn.BatchNorm1d(4),
    "experts": lambda: Holder(gate_up_proj=(3, 8, 4), down_proj=(3, 4, 8)),
    "transposed_experts": lambda: TransposedHolder(
        gate_up_proj=(3, 4, 8), down_proj=(3, 8, 4), gate_up_proj_bias=(3, 8)
    ),
    "router": lambda: Holder(weight=(3, 4), bias=(3,)),
    "scale": lambda: Holder(weight=(4,)),
    "table": lambda: Holder(weight=(2, 3, 4, 5)),
    "twice_held": TwiceHeld,
    "activation": nn.ReLU,
}
COMMON_LEAVES = ("linear", "linear_no_bias", "square", "embedding", "gpt2_linear", "experts")
NAMES = (
    "proj",
    "q_proj",
    "v_proj",
    "x_proj",
    "gate",
    "gate_proj",
    "experts",
    "lm_head",
    "embed_tokens",
    "score",
    "classifier",
    "qa_outputs",
    "lora_A",
    "lora_block",
    "out_proj",
    "bias_table",
    "attn",
    "mlp",
    "h",
)
CONTAINERS = {"module": Bare, "list": nn.ModuleList, "dict": nn.ModuleDict}
CONTAINER_NAMES = ("layers", "blocks", "model", "h", "experts", "lora", "mlp", "0")
