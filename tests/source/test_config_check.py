from __future__ import annotations

import json
from typing import Any

import pytest

from lorascope.core.errors import ModelConfigError
from lorascope.source.config_check import check_config
from lorascope.source.examples import Example, list_examples


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"num_hidden_layers": 10**9},
            "num_hidden_layers is 1,000,000,000; expected at most 1,000",
        ),
        ({"n_layer": 10**9}, "n_layer is 1,000,000,000"),
        ({"text_config": {"num_hidden_layers": 5000}}, "text_config.num_hidden_layers is 5,000"),
        ({"encoder_layers": 3000}, "encoder_layers is 3,000"),
        ({"num_decoder_layers": 3000}, "num_decoder_layers is 3,000; expected at most 1,000"),
        ({"depths": [2, 2, 10**6]}, "depths is 1,000,000"),
        ({"layers_block_type": ["mamba"] * 2001}, "layers_block_type lists 2,001 entries"),
        ({"num_experts": 10**7}, "num_experts is 10,000,000; expected at most 100,000"),
        ({"num_shared_experts": 10**7}, "num_shared_experts is 10,000,000"),
        (
            {"num_hidden_layers": 1000, "n_routed_experts": 1000},
            "num_hidden_layers × n_routed_experts is 1,000 × 1,000; expected at most 200,000",
        ),
        ({"model_type": ["llama"]}, "model_type is ['llama']; expected a string"),
        (
            {"model_type": "llama", "text_config": {"model_type": {"a": 1}, "num_experts": 2}},
            "text_config.model_type is {'a': 1}; expected a string",
        ),
        ({"vision_config": {"num_labels": 200_001}}, "num_labels is 200,001; expected at most 200"),
        ({"prior_encoder_num_flows": 10**6}, "prior_encoder_num_flows is 1,000,000"),
        ({"num_self_attends_per_block": 10**6}, "num_self_attends_per_block is 1,000,000"),
        ({"encoder_hash_byte_group_nb_functions": 10**6}, "group_nb_functions is 1,000,000"),
        ({"depth_coefficient": 1e9}, "depth_coefficient is 1000000000.0"),
        ({"sub_config": {"num_feature_levels": 10**7}}, "num_feature_levels is 10,000,000"),
        ({"x": {"out_channels": [8, 10**7]}}, "x.out_channels is 10,000,000; expected at most 1,"),
        ({"depths": [900, 900, 900]}, "asks for 2,700 layers and blocks in all"),
        ({"num_blocks": [[900, 900], [900]]}, "asks for 2,700 layers and blocks in all"),
        ({"l_layers": 900, "x_layers": 900, "r_layers": 900}, "2,700 layers and blocks in all"),
        (
            {"encoder_layers": 900, "decoder_config": {"decoder_layers": 900, "n_layer": 900}},
            "asks for 2,700 layers and blocks in all; expected at most 2,000",
        ),
        ({"hidden_size": 10**7}, "hidden_size is 10,000,000; expected at most 1,000,000"),
        ({"vocab_size": 10**12}, "vocab_size is"),
        ({"hidden_size": 10**4000}, "a number of over 30 digits"),
        ({"image_size": 10**10}, "image_size is"),
        ({"hidden_size": -4096}, "hidden_size is -4,096; expected a positive whole number"),
        ({"vocab_size": 0}, "vocab_size is 0; expected at least 1"),
        ({"attention_dropout": 5.0}, "attention_dropout is 5.0; expected a share from 0 to 1"),
        ({"attn_pdrop": -0.1}, "attn_pdrop is -0.1; expected a share"),
        ({"hidden_dropout_prob": float("nan")}, "hidden_dropout_prob is nan; expected a share"),
        (
            {"num_local_experts": 8, "num_experts_per_tok": 99},
            "num_experts_per_tok is 99; there are 8 experts (num_local_experts)",
        ),
        ({"hidden_size": 4096.5}, "hidden_size is 4096.5; expected a whole number"),
        ({"hidden_size": float("nan")}, "hidden_size is nan; expected a whole number"),
        ({"vocab_size": float("inf")}, "vocab_size is inf; expected a whole number"),
        ({"num_attention_heads": "32"}, "num_attention_heads is '32'; expected a whole number"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True; expected a whole number"),
        ({"intermediate_size": [64, -1]}, "intermediate_size is -1"),
        (
            {"model_type": "llama", "hidden_size": 4097, "num_attention_heads": 32},
            "hidden_size (4,097) is not a multiple of num_attention_heads (32)",
        ),
        (
            {"model_type": "llama", "num_attention_heads": 32, "num_key_value_heads": 7},
            "num_attention_heads (32) is not a multiple of num_key_value_heads (7)",
        ),
        (
            {"num_hidden_layers": 4, "layer_types": ["full_attention"] * 3},
            "layer_types lists 3 layers, but num_hidden_layers is 4",
        ),
    ],
)
def test_impossible_or_contradictory_fields_are_named(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelConfigError) as caught:
        check_config(config, "config.json")
    assert message in caught.value.what
    assert caught.value.what.startswith("config.json: ")


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama", "hidden_size": 5120, "num_attention_heads": 48, "head_dim": 128},
        {"max_position_embeddings": 0, "n_positions": -1},
        {"num_experts": 0, "num_experts_per_tok": 2, "dropout": 1.0, "layerdrop": 0.0},
        {"model_type": "t5", "d_model": 512, "num_heads": 6, "d_kv": 64},
        {"model_type": "qwen3", "hidden_size": 5120, "num_attention_heads": 48},
        {"num_hidden_layers": 45, "layer_types": ["full_attention"] * 48},
        {"model_type": "doge", "num_hidden_layers": 32, "num_experts": 16384},
        {"max_window_layers": 10**6, "vision_feature_layer": -2},
        {"n_positions": 10**7, "num_vocab_tokens": 10**7, "num_labels": 21_843},
        {"num_hidden_layers": 128, "mlp_only_layers": list(range(128)), "depths": [2, 2, 18, 2]},
        {"intermediate_size": [8192] * 30, "num_key_value_heads": [4, 2, 1]},
        {"hidden_size": 4096.0, "num_key_value_heads": None, "n_inner": None},
        {"num_attention_heads": 0, "num_key_value_heads": 0},
        {"model_type": "llama", "num_attention_heads": 32, "num_key_value_heads": 0},
    ],
)
def test_configs_that_are_published_like_this_pass(config: dict[str, Any]) -> None:
    check_config(config, "config.json")


@pytest.mark.parametrize("example", list_examples(), ids=lambda example: example.name)
def test_every_example_passes(example: Example) -> None:
    check_config(example.config, example.name)


def test_every_default_config_of_transformers_passes() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.utils import logging

    logging.set_verbosity_error()
    checked = 0
    for model_type in CONFIG_MAPPING:
        try:
            config = CONFIG_MAPPING[model_type]().to_dict()
        except Exception:  # noqa: S112 - needs arguments, a package, or breaks by itself
            continue
        check_config(json.loads(json.dumps(config, default=str)), model_type)
        checked += 1
    assert checked > 500


@pytest.mark.parametrize("key", ["depths", "num_hidden_layers", "out_channels"])
def test_lists_nested_deeply_are_walked_without_recursion(key: str) -> None:
    value: Any = 10**9
    for _ in range(50_000):
        value = [value]
    with pytest.raises(ModelConfigError, match="is 1,000,000,000"):
        check_config({key: value}, "config.json")


def test_deep_nesting_is_refused_without_recursion() -> None:
    config: dict[str, Any] = {}
    for _ in range(50_000):
        config = {"sub_config": config}
    with pytest.raises(ModelConfigError, match="nested too deeply"):
        check_config(config, "config.json")
