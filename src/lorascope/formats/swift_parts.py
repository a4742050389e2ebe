"""Which modules of a multimodal model ms-swift counts as language model, tower and aligner.

Source: ms-swift 4.6.0, `swift/model/model_arch.py` and the `ModelMeta` of `swift/model/models/`,
for transformers 4.52 and later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorascope.core.inventory import Inventory
from lorascope.core.roles import Tower


@dataclass(frozen=True, slots=True)
class Parts:
    """Names of modules, as `MultiModelKeys` has them."""

    language_model: tuple[str, ...]
    vision_tower: tuple[str, ...] = ()
    """Of sounds as well."""
    aligner: tuple[str, ...] = ()


_TEXT = ("model.language_model", "lm_head")
_LLAVA = Parts(_TEXT, ("model.vision_tower",), ("model.multi_modal_projector",))
_QWEN2_VL = Parts(_TEXT, ("model.visual",), ("model.visual.merger",))
_QWEN3_VL = Parts(
    _TEXT, ("model.visual",), ("model.visual.merger", "model.visual.deepstack_merger_list")
)
_GEMMA_3N = Parts(
    _TEXT,
    ("model.vision_tower", "model.audio_tower"),
    ("model.embed_vision", "model.embed_audio"),
)
_THINKER = ("thinker.model", "thinker.lm_head")
_MOVED_THINKER = ("thinker.model.language_model", "thinker.lm_head")

_PARTS: Mapping[str, Parts] = {
    **dict.fromkeys(
        (
            "Gemma3ForConditionalGeneration",
            "GotOcr2ForConditionalGeneration",
            "InternVLForConditionalGeneration",
            "LlavaForConditionalGeneration",
            "LlavaNextForConditionalGeneration",
            "LlavaNextVideoForConditionalGeneration",
            "LlavaOnevisionForConditionalGeneration",
            "MiniMaxM3SparseForConditionalGeneration",
            "Mistral3ForConditionalGeneration",
            "PaliGemmaForConditionalGeneration",
        ),
        _LLAVA,
    ),
    **dict.fromkeys(
        (
            "Glm4vForConditionalGeneration",
            "Glm4vMoeForConditionalGeneration",
            "Glm5NextForConditionalGeneration",
            "GlmOcrForConditionalGeneration",
            "Qwen2VLForConditionalGeneration",
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen3_5ForConditionalGeneration",
            "Qwen3_5MoeForConditionalGeneration",
            "Qwen4ExpForConditionalGeneration",
        ),
        _QWEN2_VL,
    ),
    "Qwen3VLForConditionalGeneration": _QWEN3_VL,
    "Qwen3VLMoeForConditionalGeneration": _QWEN3_VL,
    "Gemma3nForConditionalGeneration": _GEMMA_3N,
    "Gemma4ForConditionalGeneration": _GEMMA_3N,
    "Gemma4UnifiedForConditionalGeneration": Parts(_TEXT, (), _GEMMA_3N.aligner),
    "Idefics3ForConditionalGeneration": Parts(
        ("model.text_model",), ("model.vision_model",), ("model.connector",)
    ),
    "Llama4ForConditionalGeneration": Parts(
        ("language_model",), ("vision_model",), ("multi_modal_projector",)
    ),
    "MllamaForConditionalGeneration": Parts(
        _TEXT, ("model.vision_model",), ("model.multi_modal_projector",)
    ),
    "MiniCPMV4_6ForConditionalGeneration": Parts(
        ("model.language_model",), ("model.vision_tower",), ("model.merger",)
    ),
    "PaddleOCRVLForConditionalGeneration": Parts(_TEXT, ("model.visual",), ("model.projector",)),
    "Qwen2AudioForConditionalGeneration": Parts(
        ("language_model",), ("audio_tower",), ("multi_modal_projector",)
    ),
    "Qwen2_5OmniForConditionalGeneration": Parts(
        _THINKER,
        ("thinker.audio_tower", "thinker.visual"),
        ("thinker.audio_tower.proj", "thinker.visual.merger"),
    ),
    "Qwen3OmniMoeForConditionalGeneration": Parts(
        _THINKER,
        ("thinker.audio_tower", "thinker.visual"),
        (
            "thinker.audio_tower.proj1",
            "thinker.audio_tower.proj2",
            "thinker.visual.merger",
            "thinker.visual.merger_list",
        ),
    ),
}
"""By the class that transformers builds."""

_MOVED: Mapping[str, Parts] = {
    "Qwen2AudioForConditionalGeneration": Parts(
        ("model.language_model",), ("model.audio_tower",), ("model.multi_modal_projector",)
    ),
    "Qwen2_5OmniForConditionalGeneration": Parts(
        _MOVED_THINKER,
        ("thinker.model.audio_tower", "thinker.model.visual"),
        ("thinker.model.audio_tower.proj", "thinker.model.visual.merger"),
    ),
    "Qwen3OmniMoeForConditionalGeneration": Parts(
        _MOVED_THINKER,
        ("thinker.model.audio_tower", "thinker.model.visual"),
        (
            "thinker.model.audio_tower.proj1",
            "thinker.model.audio_tower.proj2",
            "thinker.model.visual.merger",
            "thinker.model.visual.merger_list",
        ),
    ),
}
"""The same parts where transformers has put them under another module since.

ms-swift 4.6.0 asks for a transformers before 5.17 and so does not name them. Source: transformers
5.23.0, `named_modules()` of these classes.
"""

_TOWERS_OF_VISION = frozenset({Tower.VISION, Tower.AUDIO})


def parts_of(inventory: Inventory) -> Parts | None:
    """Return the parts of a multimodal model; None for one that reads only text.

    A class that ms-swift does not list is cut as its towers are.
    """
    cls = inventory.model.cls
    moved = _MOVED.get(cls)
    if moved is not None and moved.language_model[0] in inventory.by_path:
        return moved
    if (known := _PARTS.get(cls)) is not None:
        return known
    towers = {module.path: module.tower for module in inventory.modules if module.kind.adaptable}
    if not _TOWERS_OF_VISION & set(towers.values()):
        return None
    vision = [path for path, tower in towers.items() if tower in _TOWERS_OF_VISION]
    aligner = [path for path, tower in towers.items() if tower is Tower.PROJECTOR]
    text = [path for path in towers if path not in {*vision, *aligner}]
    return Parts(
        _roots(text, (*vision, *aligner)),
        _roots(vision, (*text, *aligner)),
        _roots(aligner, (*text, *vision)),
    )


def _roots(paths: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Return the shortest names under which all modules are among `paths`."""
    taken = {prefix for path in others for prefix in _prefixes(path)}
    return tuple(
        dict.fromkeys(next(p for p in _prefixes(path) if p not in taken) for path in paths)
    )


def _prefixes(path: str) -> list[str]:
    """Return `a`, `a.b` and `a.b.c` of `a.b.c`."""
    parts = path.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]
