"""Small random models of real classes, and a tokenizer, for the tools to load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TEXT: Mapping[str, Any] = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
_VISION = {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "patch_size": 4}

MODELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "llama": ("llama", _TEXT),
    "qwen2": ("qwen2", {**_TEXT, "tie_word_embeddings": True}),
    "mistral": ("mistral", _TEXT),
    "phi3": ("phi3", _TEXT),
    "mixtral": ("mixtral", {**_TEXT, "num_local_experts": 4}),
    "qwen2_vl": (
        "qwen2_vl",
        {
            "text_config": {
                **_TEXT,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1e4,
                    "mrope_section": [1, 1, 2],
                },
            },
            "vision_config": {**_VISION, "mlp_ratio": 2},
            "image_token_id": 2,
            "video_token_id": 3,
            "vision_start_token_id": 4,
            "vision_end_token_id": 5,
        },
    ),
}
"""Name → (model type, fields of its config)."""


def make(folder: Path) -> dict[str, Path]:
    """Write the models that are not there yet; return name → directory."""
    found = {}
    for name, (model_type, fields) in MODELS.items():
        directory = folder / f"tiny-{name}"
        if not (directory / "model.safetensors").exists():
            _write(directory, model_type, fields)
        found[name] = directory
    return found


def _write(directory: Path, model_type: str, fields: Mapping[str, Any]) -> None:
    import torch
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **fields)
    for mapping in (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    ):
        if type(config) in mapping:
            cls = mapping[type(config)]
    cls(config).save_pretrained(directory)
    _write_tokenizer(directory)


def _write_tokenizer(directory: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<s>": 0, "</s>": 1, **{chr(32 + place): 2 + place for place in range(94)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="</s>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(directory / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (directory / "tokenizer_config.json").write_text(json.dumps({**said, "pad_token": "</s>"}))
