"""Old names of an adapter's tensors that PEFT translates as it loads, by model type."""

from __future__ import annotations

_FROM_LANGUAGE_MODEL = frozenset(
    {
        "aria", "audioflamingo3", "aya_vision", "fuyu", "gemma3", "glmasr", "got_ocr2",
        "granite_speech", "granite_speech_plus", "internvl", "kimi_k25", "llava", "llava_next",
        "llava_next_video", "llava_onevision", "minimax_m3_vl", "mistral3", "mllama",
        "musicflamingo", "paligemma", "pp_chart2table", "qianfan_ocr", "qwen2_audio",
        "vibevoice_asr", "video_llava", "vipllava", "voxtral", "voxtral_realtime",
    }
)  # fmt: skip
_FROM_TEXT_ALONE = frozenset({"hunyuan_vl", "paddleocr_vl", "qwen2_5_omni_thinker", "step3p7"})
_FROM_COMPOSITE = frozenset({"gemma3n_text", "qwen3_5_moe_text", "qwen3_5_text", "qwen4_exp_text"})

_TRANSLATED = (
    ("language_model.", "model.language_model.", _FROM_LANGUAGE_MODEL),
    ("vision_tower.", "model.vision_tower.", _FROM_LANGUAGE_MODEL),
    ("multi_modal_projector.", "model.multi_modal_projector.", _FROM_LANGUAGE_MODEL),
    ("model.", "model.language_model.", _FROM_TEXT_ALONE),
    ("model.language_model.", "model.", _FROM_COMPOSITE),
)
"""Start of the old name, start of the new one, and the model types where transformers maps them.

PEFT asks transformers by model type alone, so that what transformers maps for a class only, as
for Qwen2.5-VL, stays as it is. Sources: transformers 5.23.0, `conversion_mapping.py`; peft 0.21.2,
`convert_peft_adapter_state_dict_for_transformers` in `utils/transformers_weight_conversion.py`.
"""


def translates(model_type: str | None) -> bool:
    """Whether PEFT, with transformers 5, names the factors of a model type anew as it loads them.

    It then puts `base_model.model.` before them as well. Types whose experts it merges, for which
    the same holds, are not among these.
    """
    return any(model_type in model_types for *_, model_types in _TRANSLATED)


def is_translated(old: str, new: str, model_type: str | None) -> bool:
    """Whether PEFT, with transformers 5, loads tensors whose names start with `old` as `new`.

    Args:
        old: Start of the stored names, without `base_model.model.`.
        new: Start of the names that the model has.
        model_type: Of the base model.
    """
    return any(
        old.startswith(before) and new.startswith(after) and model_type in model_types
        for before, after, model_types in _TRANSLATED
    )
