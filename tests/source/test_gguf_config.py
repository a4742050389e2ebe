from __future__ import annotations

from typing import Any

import pytest

from lorascope.core.errors import ModelConfigError
from lorascope.core.stored import StoredTensor
from lorascope.source.gguf_config import ARCHITECTURES, config_of_gguf
from lorascope.source.gguf_header import GgufHeader
from lorascope.source.gguf_names import FAMILIES, transformers_name

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 8192,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 96,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.dimension_count": 16,
}
SHAPES_NO_MODULE = {"rope_theta", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"} | {
    "norm_epsilon", "norm_eps", "sliding_window", "n_ctx", "feed_forward_length",
}  # fmt: skip
FIELDS_UNREAD = {
    ("falcon", "feed_forward_length"),
    ("falcon", "attention.head_count_kv"),
    ("mamba", "context_length"),
}
"""What transformers maps to a field that its class does not read."""


def _header(metadata: dict[str, Any], *tensors: tuple[str, tuple[int, ...]]) -> GgufHeader:
    named = tuple(StoredTensor(name, shape, "F16") for name, shape in tensors)
    return GgufHeader(metadata, {"tokenizer.ggml.tokens": 100}, named)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_table_agrees_with_transformers(architecture: str) -> None:
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    ours = ARCHITECTURES[architecture]
    name = {"gemma3_text": "gemma3"}.get(ours.model_type, ours.model_type)
    theirs = GGUF_CONFIG_MAPPING.get(name)
    if theirs is None:  # transformers does not load these from GGUF; their classes are Llama-like
        assert architecture in {"gemma", "phi2", "olmo2", "granite"}
        return
    for key, field in theirs.items():
        if field is None or field in SHAPES_NO_MODULE or (architecture, key) in FIELDS_UNREAD:
            continue
        assert ours.fields.get(key) == field, key


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_field_is_one_of_the_config_class(architecture: str) -> None:
    from transformers import AutoConfig

    ours = ARCHITECTURES[architecture]
    config = AutoConfig.for_model(ours.model_type)
    for field in (*ours.fields.values(), *ours.biases.values()):
        known = hasattr(config, field) or field in config.attribute_map
        # Read by the model with getattr, though the config class does not declare it.
        assert known or (ours.model_type, field) == ("qwen3_moe", "head_dim"), field


def test_a_llama_config() -> None:
    derived = config_of_gguf(_header(LLAMA, ("token_embd.weight", (128, 64))), "x.gguf")
    assert derived.config == {
        "model_type": "llama",
        "max_position_embeddings": 8192,
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "tie_word_embeddings": True,
        "vocab_size": 128,
        "attention_bias": False,
        "mlp_bias": False,
    }
    assert derived.architecture == derived.model_type == "llama"


def test_stored_tensors_decide_on_the_head_biases_and_vocabulary() -> None:
    stored = [("output.weight", (128, 64)), ("blk.0.attn_q.bias", (64,))]
    config = config_of_gguf(_header(LLAMA, *stored), "x.gguf").config
    assert config is not None
    assert config["tie_word_embeddings"] is False
    assert config["attention_bias"] is True
    assert config["vocab_size"] == 100


def test_llama_with_experts_is_mixtral() -> None:
    experts = {"llama.expert_count": 8, "llama.expert_used_count": 2}
    derived = config_of_gguf(_header(LLAMA | experts), "x.gguf")
    assert derived.model_type == "mixtral"
    assert derived.config is not None
    assert derived.config["num_local_experts"] == 8
    assert derived.config["num_experts_per_tok"] == 2


@pytest.mark.parametrize(
    ("groups", "flags"),
    [(1, {}), (8, {"new_decoder_architecture": True}), (64, {"multi_query": False})],
)
def test_falcon_layouts_follow_the_key_value_heads(groups: int, flags: dict[str, bool]) -> None:
    metadata = {
        "general.architecture": "falcon",
        "falcon.attention.head_count": 64,
        "falcon.attention.head_count_kv": groups,
    }
    config = config_of_gguf(_header(metadata), "x.gguf").config
    assert config is not None
    assert config["num_kv_heads"] == groups
    layout = {"new_decoder_architecture", "multi_query"}
    assert {key: value for key, value in config.items() if key in layout} == flags


def test_sizes_that_differ_by_layer_leave_the_names_of_the_file() -> None:
    same = config_of_gguf(_header(LLAMA | {"llama.attention.head_count_kv": [2, 2]}), "x.gguf")
    assert same.config is not None
    assert same.config["num_key_value_heads"] == 2
    other = config_of_gguf(_header(LLAMA | {"llama.attention.head_count_kv": [2, 0]}), "x.gguf")
    assert other.config is None
    assert "layers differ in size" in other.notes[0]


def test_unknown_and_absent_architectures() -> None:
    derived = config_of_gguf(_header({"general.architecture": "rwkv7"}), "x.gguf")
    assert (derived.config, derived.model_type) == (None, None)
    assert "rwkv7 has no known class" in derived.notes[0]
    with pytest.raises(ModelConfigError, match="has no general.architecture"):
        config_of_gguf(_header({}), "x.gguf")


TINY = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 96, "vocab_size": 128}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
DENSE = sorted(set(FAMILIES) - {"qwen2moe", "qwen3moe"})


@pytest.mark.parametrize("architecture", DENSE)
def test_the_names_cover_the_class_that_transformers_builds(architecture: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = TINY | {"pad_token_id": 0}
    if architecture == "falcon":
        fields.pop("head_dim")
    config = AutoConfig.for_model(ARCHITECTURES[architecture].model_type, **fields)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    names = FAMILIES[architecture]
    known = set(names.outside.values())
    known |= {f"{names.blocks}.0.{path}" for path in names.inside.values()}
    holders = {
        name.rpartition(".")[0] for name, _ in model.named_parameters(remove_duplicate=False)
    }
    assert holders <= known


@pytest.mark.parametrize(
    ("name", "architecture", "expected"),
    [
        ("blk.11.attn_q.weight", "llama", "model.layers.11.self_attn.q_proj.weight"),
        ("token_embd.weight", "gpt2", "transformer.wte.weight"),
        ("blk.0.ffn_gate_exps.weight", "qwen3moe", None),
        ("blk.0.attn_q.weight", "rwkv7", None),
        ("rope_freqs.weight", "llama", None),
    ],
)
def test_renaming(name: str, architecture: str, expected: str | None) -> None:
    assert transformers_name(name, architecture) == expected
