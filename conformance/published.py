"""Config values in place of defaults that contradict each other, so that a class can run."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


@dataclass(frozen=True, slots=True)
class Corrected:
    """What one model type is built with instead of its defaults."""

    values: Mapping[str, Any]
    """Arguments of the config's class; inner configs are completed by their own defaults."""
    why: str
    """Why a forward pass over text and an image cannot run with the defaults."""
    source: str
    """Where the values come from."""

    @property
    def text(self) -> str:
        """The values in one line: `vision_config.image_size=896`."""
        return ", ".join(_flat(self.values))


_GLM = Corrected(
    {"text_config": {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}},
    "the rotary frequencies are 64 wide, and the sections [8, 12, 12] split 32",
    "zai-org/GLM-4.1V-9B-Thinking",
)
_SIGLIP = Corrected(
    {"vision_config": {"image_size": 896, "patch_size": 14}},
    "14 x 14 patches are pooled to 16 x 16 features: a pooling window of 0",
    "google/gemma-3-4b-it",
)


def _vision_width(width: int, source: str) -> Corrected:
    return Corrected(
        {"vision_config": {"out_hidden_size": width}},
        f"image features are 3584 wide, the text's hidden states {width}",
        source,
    )


CORRECTED: Mapping[str, Corrected] = MappingProxyType(
    {
        "cosmos3_omni": _vision_width(4096, "smallest change"),
        "gemma3": _SIGLIP,
        "glm46v": _GLM,
        "glm4v": _GLM,
        "glm4v_moe": Corrected(
            {"text_config": {"head_dim": 128}},
            "the rotary frequencies are 11 wide, and the sections [8, 12, 12] split 32",
            "zai-org/GLM-4.5V",
        ),
        "glmga": _GLM,
        "llama4": Corrected(
            {"vision_config": {"hidden_size": 1408, "vision_output_dim": 4096}},
            "four patches of 768 are joined to 3072, and the layer that reads them takes 5632;"
            " image features are 4096 wide, and the projector takes 7680",
            "meta-llama/Llama-4-Scout-17B-16E",
        ),
        "molmo2": Corrected(
            {"adapter_config": {"text_hidden_size": 4096}},
            "image features are 3584 wide, the text's hidden states 4096",
            "smallest change",
        ),
        "qwen3_omni_moe_thinker": Corrected(
            {
                "audio_config": {"output_dim": 2048},
                "text_config": {"num_attention_heads": 32, "head_dim": 128},
                "vision_config": {"out_hidden_size": 2048},
            },
            "2048 divided by 28 heads gives heads of 73, which rotary embeddings cannot halve, and"
            " features of images and sounds are 3584 wide, the text's hidden states 2048",
            "Qwen/Qwen3-Omni-30B-A3B-Instruct",
        ),
        "qwen3_vl": _vision_width(4096, "Qwen/Qwen3-VL-8B-Instruct"),
        "qwen3_vl_moe": _vision_width(2048, "Qwen/Qwen3-VL-30B-A3B-Instruct"),
        "shieldgemma2": _SIGLIP,
        "step3p7": Corrected(
            {"text_config": {"sliding_window": 512}},
            "most layers attend in a sliding window, and its length is None",
            "any length does",
        ),
        "t5gemma2": Corrected(
            {"encoder": {"vision_config": {"image_size": 896, "patch_size": 14}}},
            _SIGLIP.why,
            "google/t5gemma-2-270m-270m",
        ),
    }
)
"""Model type → its values. Every other type is built with its defaults."""


def config_of(model_type: str) -> PretrainedConfig:
    """Return the config that a model type is built with."""
    corrected = CORRECTED.get(model_type)
    # A config writes into what it is given.
    values = {} if corrected is None else copy.deepcopy(dict(corrected.values))
    return CONFIG_MAPPING[model_type](**values)


def _flat(values: Mapping[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        inner = isinstance(value, Mapping) and not name.endswith("_parameters")
        here = f"{path}{name}"
        found += _flat(value, f"{here}.") if inner else [f"{here}={value}"]
    return found
