"""Which classes the sweep walks: every model type in the main auto-classes of transformers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

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

OBSERVED = {"causal LM": 0.95, "seq-to-seq": 0.90, "image-text-to-text": 0.85}
"""Auto-classes whose forward pass is run → share of their model types for which it must."""

SAMPLE = (
    "bamba",
    "bart",
    "bert",
    "bloom",
    "clip",
    "deepseek_v3",
    "deepseek_v4",
    "falcon_mamba",
    "gpt2",
    "gpt_oss",
    "jamba",
    "llama",
    "llava",
    "mamba",
    "mixtral",
    "paligemma",
    "phi3",
    "qwen3_next",
    "resnet",
    "switch_transformers",
    "t5",
    "vit",
    "wavlm",
    "whisper",
)
"""Model types of the quick sweep: one of each kind of architecture."""


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One class of one model type."""

    model_type: str
    auto_class: str
    """The first that lists it."""
    cls: str
    observed_as: tuple[str, ...] = ()
    """Those of `OBSERVED` that list it."""


def cases(sample: bool) -> tuple[Case, ...]:
    """Return the classes to walk, each once, a type's classes together.

    Args:
        sample: Only the types of `SAMPLE`.
    """
    found: dict[tuple[str, str], Case] = {}
    listed: dict[tuple[str, str], list[str]] = defaultdict(list)
    for auto_class, mapping in AUTO_CLASSES.items():
        for model_type, names in getattr(modeling_auto, mapping).items():
            if sample and model_type not in SAMPLE:
                continue
            for cls in (names,) if isinstance(names, str) else names:
                found.setdefault((model_type, cls), Case(model_type, auto_class, cls))
                if auto_class in OBSERVED:
                    listed[model_type, cls].append(auto_class)
    observed = (replace(case, observed_as=tuple(listed[key])) for key, case in found.items())
    return tuple(sorted(observed, key=_by_type_then_auto_class))


def _by_type_then_auto_class(case: Case) -> tuple[str, int, str]:
    return (case.model_type, list(AUTO_CLASSES).index(case.auto_class), case.cls)
