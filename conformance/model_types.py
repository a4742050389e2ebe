"""Which classes the sweep walks: every model type in the main auto-classes of transformers."""

from __future__ import annotations

from dataclasses import dataclass

from transformers.models.auto import modeling_auto

AUTO_CLASSES = {
    "causal LM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "seq-to-seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "masked LM": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "image-text-to-text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "speech": "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "speech CTC": "MODEL_FOR_CTC_MAPPING_NAMES",
    "image classification": "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
    "base": "MODEL_MAPPING_NAMES",
}
"""What the table calls an auto-class → its mapping from model types to class names."""

SAMPLE = (
    "bert",
    "bloom",
    "clip",
    "deepseek_v3",
    "falcon_mamba",
    "gemma3",
    "gpt2",
    "gpt_oss",
    "jamba",
    "llama",
    "llava",
    "mamba",
    "mixtral",
    "phi3",
    "qwen2_vl",
    "qwen3_next",
    "resnet",
    "switch_transformers",
    "t5",
    "vit",
    "wav2vec2",
    "whisper",
)
"""Model types of the quick sweep: one of each kind of architecture."""


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One class of one model type."""

    model_type: str
    auto_class: str
    cls: str


def cases(sample: bool) -> tuple[Case, ...]:
    """Return the classes to walk, each once, a type's classes together.

    Args:
        sample: Only the types of `SAMPLE`.
    """
    found: dict[tuple[str, str], Case] = {}
    for auto_class, mapping in AUTO_CLASSES.items():
        for model_type, names in getattr(modeling_auto, mapping).items():
            if sample and model_type not in SAMPLE:
                continue
            for cls in (names,) if isinstance(names, str) else names:
                found.setdefault((model_type, cls), Case(model_type, auto_class, cls))
    return tuple(sorted(found.values(), key=_by_type_then_auto_class))


def _by_type_then_auto_class(case: Case) -> tuple[str, int, str]:
    return (case.model_type, list(AUTO_CLASSES).index(case.auto_class), case.cls)
