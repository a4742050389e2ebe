"""From a GGUF file's metadata to the config of the transformers class it was made from.

The tables follow `transformers.integrations.ggml.GGUF_CONFIG_MAPPING` (5.23.0; a test compares
them), as far as a field shapes a module, and add what that table leaves to class defaults: head
sizes, expert sizes, biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lorascope.core.errors import ModelConfigError
from lorascope.source.gguf_header import GgufHeader


class GgufConfig(NamedTuple):
    """The config that a GGUF header amounts to."""

    config: Mapping[str, Any] | None
    """None if the architecture has no table here; the inventory then comes from the tensors."""
    model_type: str | None
    notes: tuple[str, ...]
    architecture: str
    """The file's `general.architecture`."""


@dataclass(frozen=True, slots=True)
class _Architecture:
    """How one `general.architecture` is called in transformers."""

    model_type: str
    fields: Mapping[str, str]
    """Metadata key without the architecture prefix → config field."""
    biases: Mapping[str, str] = field(default_factory=dict)
    """Tensor of the first block → flag that is true if and only if it is stored."""
    ties: bool | None = None
    """Whether head and embedding are tied; None: tied if `output.weight` is not stored."""


_COMMON = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "vocab_size": "vocab_size",
}
_HEAD_DIM = {"attention.key_length": "head_dim"}
_EXPERTS = {
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
_SHARED_EXPERT = {"expert_shared_feed_forward_length": "shared_expert_intermediate_size"}
_LOCAL_EXPERTS = {
    "expert_count": "num_local_experts",
    "expert_used_count": "num_experts_per_tok",
}

ARCHITECTURES: Mapping[str, _Architecture] = {
    "llama": _Architecture(
        "llama",
        # rope.dimension_count is the head size here, and only here.
        {**_COMMON, "rope.dimension_count": "head_dim", **_HEAD_DIM},
        {"blk.0.attn_q.bias": "attention_bias", "blk.0.ffn_up.bias": "mlp_bias"},
    ),
    "mistral": _Architecture("mistral", {**_COMMON, "rope.dimension_count": "head_dim"}),
    "qwen2": _Architecture("qwen2", _COMMON),
    "qwen2moe": _Architecture("qwen2_moe", {**_COMMON, **_EXPERTS, **_SHARED_EXPERT}),
    "qwen3": _Architecture("qwen3", {**_COMMON, **_HEAD_DIM}),
    "qwen3moe": _Architecture("qwen3_moe", {**_COMMON, **_HEAD_DIM, **_EXPERTS}),
    "gpt-oss": _Architecture("gpt_oss", {**_COMMON, **_HEAD_DIM, **_LOCAL_EXPERTS}),
    "gemma": _Architecture("gemma", {**_COMMON, **_HEAD_DIM}),
    "gemma2": _Architecture("gemma2", {**_COMMON, **_HEAD_DIM}),
    "gemma3": _Architecture("gemma3_text", {**_COMMON, **_HEAD_DIM}),
    "phi2": _Architecture("phi", _COMMON),
    "phi3": _Architecture("phi3", _COMMON),
    "falcon": _Architecture(
        "falcon",
        {
            **_COMMON,
            "feed_forward_length": "ffn_hidden_size",
            "attention.head_count_kv": "num_kv_heads",
        },
        ties=True,
    ),
    "stablelm": _Architecture("stablelm", _COMMON, {"blk.0.attn_q.bias": "use_qkv_bias"}),
    "starcoder2": _Architecture("starcoder2", _COMMON),
    "nemotron": _Architecture("nemotron", _COMMON),
    "olmo2": _Architecture("olmo2", _COMMON),
    "granite": _Architecture("granite", _COMMON),
    "bloom": _Architecture(
        "bloom",
        {
            "block_count": "n_layer",
            "embedding_length": "hidden_size",
            "attention.head_count": "n_head",
            "vocab_size": "vocab_size",
        },
        ties=True,
    ),
    "gpt2": _Architecture(
        "gpt2",
        {
            "block_count": "n_layer",
            "context_length": "n_positions",
            "embedding_length": "n_embd",
            "feed_forward_length": "n_inner",
            "attention.head_count": "n_head",
        },
    ),
    "mamba": _Architecture(
        "mamba",
        {
            "block_count": "num_hidden_layers",
            "embedding_length": "hidden_size",
            "ssm.conv_kernel": "conv_kernel",
            "ssm.state_size": "state_size",
            "ssm.time_step_rank": "time_step_rank",
            "ssm.inner_size": "intermediate_size",
            "vocab_size": "vocab_size",
        },
    ),
}
"""By GGUF's `general.architecture`."""


def config_of_gguf(header: GgufHeader, where: str) -> GgufConfig:
    """Derive the transformers config of a GGUF model.

    Args:
        header: As read.
        where: What messages call the file.

    Raises:
        ModelConfigError: The metadata lacks `general.architecture`.
    """
    name = header.metadata.get("general.architecture")
    if not isinstance(name, str):
        raise ModelConfigError(f"{where} has no general.architecture in its metadata.")
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        return GgufConfig(
            None,
            None,
            (f"The GGUF architecture {name} has no known class: names are the file's own.",),
            name,
        )
    config = {
        field_name: value
        for key, field_name in architecture.fields.items()
        if (value := _same_in_all_layers(header.metadata.get(f"{name}.{key}"))) is not None
    }
    if any(isinstance(value, list) for value in config.values()):
        note = f"This {name} model's layers differ in size: names are the GGUF file's own."
        return GgufConfig(None, None, (note,), name)
    config |= _from_tensors(header, architecture)
    model_type = _refined(architecture.model_type, name, header, config)
    note = "The config was derived from GGUF metadata."
    return GgufConfig({"model_type": model_type, **config}, model_type, (note,), name)


def _same_in_all_layers(value: object) -> object:
    """A list of one and the same number is that number; another list stays."""
    if isinstance(value, list) and value and all(each == value[0] for each in value):
        return value[0]
    return value


def _from_tensors(header: GgufHeader, architecture: _Architecture) -> dict[str, Any]:
    """What only the stored tensors tell: the padded vocabulary, biases, a tied head."""
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    tied = architecture.ties if architecture.ties is not None else "output.weight" not in shapes
    found: dict[str, Any] = {"tie_word_embeddings": tied}
    embedding = shapes.get("token_embd.weight", ())
    tokens = header.lengths.get("tokenizer.ggml.tokens")
    if len(embedding) == 2:
        found["vocab_size"] = embedding[0]
    elif tokens:
        found["vocab_size"] = tokens
    for tensor, flag in architecture.biases.items():
        found[flag] = tensor in shapes
    return found


def _refined(model_type: str, name: str, header: GgufHeader, config: dict[str, Any]) -> str:
    """Two GGUF architectures cover two structures each; complete `config` for the other one."""
    if name == "llama" and header.metadata.get("llama.expert_count"):
        for key, field_name in _LOCAL_EXPERTS.items():
            config[field_name] = header.metadata.get(f"llama.{key}")
        return "mixtral"
    groups = config.get("num_kv_heads")
    if name == "falcon" and isinstance(groups, int) and groups > 1:
        every_head = groups == config.get("num_attention_heads")
        config["multi_query" if every_head else "new_decoder_architecture"] = not every_head
    return model_type
