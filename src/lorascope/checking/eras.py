"""Names that another class, release or tool has for the same modules."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

_OTHER_NAMES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "Wqkv": (("q_proj", "k_proj", "v_proj"), ("qkv_proj",), ("query_key_value",)),
    "wqkv": (("q_proj", "k_proj", "v_proj"), ("qkv_proj",)),
    "W_pack": (("q_proj", "k_proj", "v_proj"),),
    "query_key_value": (("q_proj", "k_proj", "v_proj"), ("qkv_proj",)),
    "c_attn": (("q_proj", "k_proj", "v_proj"), ("qkv_proj",)),
    "wq": (("q_proj",),),
    "wk": (("k_proj",),),
    "wv": (("v_proj",),),
    "wo": (("o_proj",), ("dense",)),
    "out_proj": (("dense",), ("o_proj",)),
    "o_proj": (("dense",), ("out_proj",)),
    "dense_h_to_4h": (("fc1",), ("gate_proj", "up_proj"), ("up_proj",)),
    "dense_4h_to_h": (("fc2",), ("down_proj",)),
    "w1": (("gate_proj",),),
    "w2": (("down_proj",),),
    "w3": (("up_proj",),),
}
"""A name → what the same modules may be called here, the closest first; all of one must exist.

Sources: microsoft/phi-1_5's first remote code (`Wqkv`, `out_proj`), internlm2 (`wqkv`, `wo`, `w1`
to `w3`), baichuan (`W_pack`), GPT-NeoX (`query_key_value`, `dense_h_to_4h`), Qwen's first remote
code (`c_attn`), Mixtral before transformers 5 (`w1` to `w3`).
"""

_PREFIXES = (
    ("language_model.model.", "model.language_model."),
    ("model.language_model.", "language_model.model."),
    ("model.language_model.", "model."),
    ("language_model.model.", "model."),
    ("model.", "model.language_model."),
    ("model.visual.", "visual."),
    ("visual.", "model.visual."),
    ("vision_tower.", "model.vision_tower."),
    ("base_model.model.", ""),
    ("model.text_model.", "model."),
    ("model.", "model.text_model."),
    ("transformer.h.", "model.layers."),
)
"""How a wrapper's prefix moved between releases, or between a text-only class and a composite."""


def other_era(entry: str, ends: Collection[str]) -> tuple[str, ...]:
    """Return what an entry that names nothing is called in this model; empty if that is unknown.

    Args:
        entry: As the user wrote it.
        ends: All ends of the names of the model's modules that an entry of a list may be.
    """
    for old, new in _PREFIXES:
        if entry.startswith(old) and f"{new}{entry.removeprefix(old)}" in ends:
            return (f"{new}{entry.removeprefix(old)}",)
    head, dot, last = entry.rpartition(".")
    for instead in _OTHER_NAMES.get(last, ()):
        renamed = tuple(f"{head}{dot}{name}" for name in instead)
        if all(name in ends for name in renamed):
            return renamed
    return ()


def moved_prefixes(pattern: str) -> Iterator[str]:
    """Yield a regular expression with each prefix in it moved to where other classes have it.

    Args:
        pattern: With the dots of the prefix escaped or not.
    """
    for old, new in _PREFIXES:
        for was, now in ((old, new), (old.replace(".", r"\."), new.replace(".", r"\."))):
            found = re.search(rf"(?<![\w.]){re.escape(was)}", pattern)
            if found:
                yield pattern[: found.start()] + now + pattern[found.end() :]
