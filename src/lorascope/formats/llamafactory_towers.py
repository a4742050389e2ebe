"""Which parts of a multimodal model LLaMA-Factory keeps LoRA away from, by model type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Towers:
    """Texts; a module belongs to a part if its full name holds one of them anywhere."""

    projector: tuple[str, ...] = ("multi_modal_projector",)
    vision: tuple[str, ...] = ("vision_tower",)
    language: tuple[str, ...] = ("language_model", "lm_head")
    never: tuple[str, ...] = ()
    """Left out whatever is frozen."""


_QWEN_VL = Towers(
    projector=("visual.merger",),
    vision=("visual.patch_embed", "visual.blocks"),
    never=("patch_embed",),
)
_QWEN3_VISION = ("visual.pos_embed", "visual.patch_embed", "visual.blocks")
_QWEN3_VL = Towers(
    projector=("visual.merger",),
    vision=(*_QWEN3_VISION, "visual.deepstack_merger_list"),
    never=("patch_embed",),
)
_QWEN3_5 = Towers(projector=("model.visual.merger",), vision=_QWEN3_VISION, never=("patch_embed",))
_VISION_MODEL = Towers(vision=("vision_model",))

TOWERS: Mapping[str, Towers] = {
    "Keye": Towers(
        projector=("mlp_AR",),
        vision=("visual.vision_model.patch_embedding", "visual.vision_model.encoder"),
        language=("model", "lm_head"),
        never=("patch_embedding",),
    ),
    "dots_ocr": Towers(
        projector=("vision_tower.merger",), language=("model", "lm_head"), never=("merger",)
    ),
    "gemma3": Towers(),
    "gemma3n": Towers(
        vision=("vision_tower", "audio_tower"), never=("timm_model", "subsample_conv_projection")
    ),
    "gemma4": Towers(
        projector=("model.embed_vision", "model.embed_audio"),
        vision=("vision_tower", "audio_tower"),
        never=("per_layer_projection_norm",),
    ),
    "glm4v": _QWEN_VL,
    "glm4v_moe": _QWEN_VL,
    "glm_ocr": _QWEN_VL,
    "interns1": Towers(),
    "internvl": Towers(),
    "kimi_vl": Towers(),
    "llama4": _VISION_MODEL,
    "llava": Towers(),
    "llava_next": Towers(),
    "llava_next_video": Towers(),
    "minicpmo": Towers(
        projector=("resampler",),
        vision=("vpm", "apm", "audio_avg_pooler", "audio_projection_layer", "tts"),
        language=("llm",),
        never=("audio_projection_layer",),
    ),
    "minicpmv": Towers(projector=("resampler",), vision=("vpm",), language=("llm",)),
    "minicpmv4_6": Towers(
        projector=("model.merger",),
        vision=("model.vision_tower",),
        language=("model.language_model", "lm_head"),
    ),
    "mistral3": Towers(projector=("model.multi_modal_projector",)),
    "mllama": _VISION_MODEL,
    "paligemma": Towers(),
    "qwen2_5_omni_thinker": Towers(
        projector=("visual.merger", "audio_tower.proj"),
        vision=("visual.patch_embed", "visual.blocks", "audio_tower"),
        language=("model", "lm_head"),
        never=("patch_embed",),
    ),
    "qwen2_5_vl": _QWEN_VL,
    "qwen2_audio": Towers(vision=("audio_tower",)),
    "qwen2_vl": _QWEN_VL,
    "qwen3_5": _QWEN3_5,
    "qwen3_5_moe": _QWEN3_5,
    "qwen3_omni_moe_thinker": Towers(
        projector=("visual.merger", "audio_tower.proj"),
        vision=(*_QWEN3_VISION, "visual.deepstack_merger_list", "audio_tower"),
        never=("patch_embed",),
    ),
    "qwen3_vl": _QWEN3_VL,
    "qwen3_vl_moe": _QWEN3_VL,
    "video_llava": Towers(),
}
"""Source: llamafactory 0.9.5, calls of `_register_composite_model` in
`model/model_utils/visual.py`."""
