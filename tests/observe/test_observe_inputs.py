"""Inputs that let classes of every kind run on weightless tensors, all their towers reached."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from lorascope.observe import observe
from lorascope.observe.attempts import quiet
from lorascope.observe.inputs import NoInputsError, inputs_for
from lorascope.observe.known_values import known_values
from lorascope.observe.twin import hollow_twin, meta_twin

TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
}
ENCODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SIGHT = {**ENCODER, "image_size": 28, "patch_size": 14}
SEQ2SEQ = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "vocab_size": 128,
}
BLIP = {
    "text_config": {
        "model_type": "opt",
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "vocab_size": 128,
    },
    "vision_config": {**ENCODER, "num_hidden_layers": 1, "image_size": 28},
    "qformer_config": {**ENCODER, "encoder_hidden_size": 32, "vocab_size": 128},
    "num_query_tokens": 4,
}
GRID = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}

CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "llama": (AutoModelForCausalLM, TEXT),
    "mixtral": (AutoModelForCausalLM, {**TEXT, "num_local_experts": 4}),
    "jamba": (
        AutoModelForCausalLM,
        {**TEXT, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2},
    ),
    "rwkv": (AutoModelForCausalLM, {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 128}),
    "bert": (transformers.AutoModelForMaskedLM, {**ENCODER, "vocab_size": 128}),
    "t5": (
        AutoModelForSeq2SeqLM,
        {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "vocab_size": 128},
    ),
    "bart": (AutoModelForSeq2SeqLM, SEQ2SEQ),
    "xmod": (
        AutoModelForCausalLM,
        {**ENCODER, "vocab_size": 128, "is_decoder": True, "languages": ["en_XX"]},
    ),
    "whisper": (
        transformers.AutoModelForSpeechSeq2Seq,
        {**SEQ2SEQ, "max_source_positions": 16, "pad_token_id": 0, "decoder_start_token_id": 1},
    ),
    "wav2vec2": (
        transformers.AutoModelForCTC,
        {**ENCODER, "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3)},
    ),
    "vit": (transformers.AutoModelForImageClassification, SIGHT),
    "clip": (AutoModel, {"text_config": TEXT, "vision_config": SIGHT}),
    "llava": (
        transformers.AutoModelForImageTextToText,
        {
            "text_config": {**TEXT, "model_type": "llama"},
            "vision_config": {**SIGHT, "model_type": "clip_vision_model"},
            "image_token_index": 7,
        },
    ),
    "gemma3": (
        transformers.AutoModelForImageTextToText,
        {
            "text_config": {**TEXT, "head_dim": 8},
            "vision_config": {**SIGHT, "image_size": 56, "vision_use_head": False},
            "mm_tokens_per_image": 4,
            "image_token_index": 7,
        },
    ),
    "qwen2_vl": (
        transformers.AutoModelForImageTextToText,
        {
            "text_config": {
                **TEXT,
                "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
            },
            "vision_config": GRID,
            "image_token_id": 7,
            "vision_start_token_id": 8,
        },
    ),
    "mllama": (
        transformers.AutoModelForImageTextToText,
        {
            "text_config": {**TEXT, "cross_attention_layers": [1], "pad_token_id": 0},
            "vision_config": {
                **SIGHT,
                "attention_heads": 4,
                "num_global_layers": 1,
                "intermediate_layers_indices": [0],
                "vision_output_dim": 64,
            },
            "image_token_index": 7,
        },
    ),
    "idefics": (
        transformers.AutoModelForImageTextToText,
        {
            **TEXT,
            "additional_vocab_size": 2,
            "cross_layer_interval": 1,
            "vision_config": {**SIGHT, "embed_dim": 32},
            "perceiver_config": {"resampler_depth": 1, "resampler_n_latents": 4},
            "use_resampler": True,
        },
    ),
}
"""Model type → auto-class and a config of few and small layers."""


class KeepsTheMask(nn.Module):
    """Takes a list of images with a mask, and hands them on one by one (as PI0 does)."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(image_size=4, patch_size=2, image_token_id=3, vocab_size=9)
        self.proj = nn.Linear(16, 5)

    def get_image_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        images, _channels, _height, _width = pixel_values.shape
        return self.proj(pixel_values[:, 0].reshape(images, 16))

    def forward(
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor,
        pixel_attention_mask: torch.Tensor,
    ) -> torch.Tensor:
        samples, images = pixel_attention_mask.shape
        features = self.get_image_features(pixel_values.flatten(0, 1))
        assert (input_ids == 3).sum() == len(features) == samples * images
        return features


def tiny(model_type: str) -> nn.Module:
    auto_class, settings = CASES[model_type]
    with torch.device("meta"):
        return auto_class.from_config(AutoConfig.for_model(model_type, **settings)).eval()


def linears_not_called(twin: nn.Module, device: str) -> set[str]:
    linears = {path for path, module in twin.named_modules() if isinstance(module, nn.Linear)}
    with quiet(), torch.no_grad():
        inputs = inputs_for(twin, device)
        for path in linears:
            twin.get_submodule(path).register_forward_pre_hook(
                lambda _module, _inputs, path=path: linears.discard(path)
            )
        twin(**inputs)
    assert inputs.left_out == ()
    return linears


@pytest.mark.parametrize("model_type", sorted(CASES))
def test_the_pass_runs_on_meta_and_reaches_every_layer(model_type: str) -> None:
    missed = linears_not_called(meta_twin(tiny(model_type)), "meta")
    # Mamba reads this weight past its module, which no input changes.
    assert {path for path in missed if not path.endswith(".dt_proj")} == set()


@pytest.mark.parametrize("model_type", ["llama", "t5", "llava", "qwen2_vl", "whisper"])
def test_the_same_inputs_run_on_zeros(model_type: str) -> None:
    assert linears_not_called(hollow_twin(tiny(model_type)), "cpu") == set()


def test_an_image_takes_as_many_tokens_as_it_has_features() -> None:
    inputs = inputs_for(meta_twin(tiny("llava")), "meta")
    features = (28 // 14) ** 2
    assert (inputs["input_ids"] == 7).sum() == features
    assert inputs["pixel_values"].shape == (1, 3, 28, 28)


def test_patches_in_a_row_come_with_their_grid() -> None:
    inputs = inputs_for(meta_twin(tiny("qwen2_vl")), "meta")
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 4]]
    assert inputs["pixel_values"].shape == (16, 3 * 2 * 14 * 14)
    assert (inputs["input_ids"] == 7).sum() == 4
    assert inputs["mm_token_type_ids"].sum() == 4


def test_what_contradicts_itself_is_left_out_and_told() -> None:
    _, settings = CASES["gemma3"]
    # 2 x 2 patches cannot be pooled into 4 x 4 features.
    vision = {**settings["vision_config"], "image_size": 28}
    config = AutoConfig.for_model(
        "gemma3", **{**settings, "vision_config": vision, "mm_tokens_per_image": 16}
    )
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    inputs = inputs_for(meta_twin(model), "meta")
    assert "pixel_values" not in inputs
    assert inputs.left_out == ("image: RuntimeError: stride should not be zero",)


def test_images_are_handed_on_as_the_class_does() -> None:
    with torch.device("meta"):
        model = KeepsTheMask()
    inputs = inputs_for(model, "meta")
    assert inputs["pixel_values"].shape == (1, 1, 3, 4, 4)
    assert inputs["pixel_attention_mask"].shape == (1, 1)
    assert inputs.left_out == ()


def test_a_token_for_images_that_the_config_leaves_open_is_filled_on_the_copy() -> None:
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(
            AutoConfig.for_model("blip-2", **BLIP)
        )
    seen = observe(model)
    assert seen.reason is None
    assert "pixel_values" in seen.inputs
    assert seen.notes == ("image_token_id taken as 127, as the config states none",)
    assert model.config.image_token_id is None


def test_a_choice_of_experts_that_the_config_leaves_open_is_told() -> None:
    settings = {**TEXT, "num_hidden_layers": 1, "first_k_dense_replace": 0, "n_routed_experts": 4}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("deepseek_v2", **settings))
    assert model.config.num_experts_per_tok is None
    assert observe(model).notes == ("top_k taken as 1, as the config states none",)
    assert model.config.num_experts_per_tok is None


def test_an_image_left_out_is_told() -> None:
    model = tiny("llava")
    # A layer of the vision tower that the text cannot read.
    model.model.multi_modal_projector = nn.Linear(1, 1, device="meta")
    seen = observe(model)
    assert "pixel_values" not in seen.inputs
    assert len(seen.notes) == 1
    assert seen.notes[0].startswith("without image: ")


def test_trials_end_with_the_time_that_is_left() -> None:
    inputs = inputs_for(meta_twin(tiny("llava")), "meta", seconds=-1.0)
    assert len(inputs.left_out) == 1
    assert "pixel_values" not in inputs


def test_text_takes_no_token_that_means_something() -> None:
    with torch.device("meta"):
        config = AutoConfig.for_model("llama", **TEXT, pad_token_id=0, bos_token_id=1)
        model = AutoModelForCausalLM.from_config(config)
    ids = inputs_for(model, "meta")["input_ids"]
    assert not {0, 1} & set(ids[0].tolist())
    assert ids[0, -1] == model.config.eos_token_id


def test_a_class_that_takes_nothing_known_is_named() -> None:
    with pytest.raises(NoInputsError, match="takes no input_ids but input"):
        inputs_for(nn.Linear(2, 2), "meta")


def test_running_leaves_nothing_behind() -> None:
    before = torch.random.get_rng_state(), dict(os.environ)
    with known_values():
        torch.rand(3)
        assert os.environ["TRANSFORMERS_DISABLE_TORCH_CHECK"] == "1"
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert dict(os.environ) == before[1]
