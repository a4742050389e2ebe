"""Why named and observed roles differ where they do: one entry a finding, no entry a defect."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from result import NOTHING, Difference


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why some modules are named one thing and seen as another."""

    model_types: tuple[str, ...]
    """Patterns; the first that fits counts."""
    path: str
    """Pattern of the folded path."""
    named: str
    observed: str
    """A role, or `nothing`."""
    why: str
    """Read in the model's source."""

    def fits(self, model_type: str, difference: Difference) -> bool:
        """Whether it explains this difference."""
        return (
            (difference.named, difference.observed) == (self.named, self.observed)
            and any(fnmatchcase(model_type, pattern) for pattern in self.model_types)
            and fnmatchcase(difference.path, self.path)
        )


_RESAMPLER = "a step of the resampler: what it makes is normed and cut up, and added to nothing"
_COMPRESSOR = (
    "a softmax of the gate weighs the keys and values of a window, so that it flows into both"
)
_ZAYA = "query and key pass through one grouped convolution together before they are multiplied"
_SHORT_CONVOLUTION = (
    "makes the weights of the convolution that key or value passes through, so it flows into them"
)

_BATCH = (
    "the shared experts are one batch of products, each weighed before its last layer, and summed"
)
_SHARED = (
    "the shared block hands on what its feed-forward makes to one more layer, which alone is added"
)
_ROUTER = "the first steps of a router of several layers; its last one makes the scores"
_ADAPTER = "an adapter built in: small, but by its flow a feed-forward"
_CONNECTOR = "maps image features to another width, so that nothing is added to what it reads"
_TWICE = "passes on through the in_proj of an `nn.MultiheadAttention`, which counts as its maker"

EXPLAINED: tuple[Explanation, ...] = (
    Explanation(("aria",), "*.cross_attn.q_proj", "attention.q", NOTHING, _TWICE),
    Explanation(("aria",), "*.cross_attn.k_proj", "attention.k", NOTHING, _TWICE),
    Explanation(("aria",), "*.cross_attn.v_proj", "attention.v", NOTHING, _TWICE),
    Explanation(
        ("deepseek_v4",),
        "*.self_attn.compressor.gate_proj",
        "attention.other",
        "attention.kv",
        _COMPRESSOR,
    ),
    Explanation(
        ("ernie4_5_vl_moe",), "*.resampler_model.*_linear.fc1", "ffn.up", NOTHING, _RESAMPLER
    ),
    Explanation(
        ("ernie4_5_vl_moe",), "*.resampler_model.*_linear.fc2", "ffn.down", NOTHING, _RESAMPLER
    ),
    *(
        Explanation(("zaya",), f"*.mlp.gate.{name}", "moe.router", NOTHING, _ROUTER)
        for name in ("down_proj", "router_mlp.fc1", "router_mlp.fc2")
    ),
    *(
        Explanation(
            ("zamba2",), f"*.shared_transformer.feed_forward.{name}", role, NOTHING, _SHARED
        )
        for name, role in (("gate_up_proj", "ffn.gate_up"), ("down_proj", "ffn.down"))
    ),
    Explanation(("llama4",), "*.vision_adapter.mlp.fc1", "ffn.up", NOTHING, _CONNECTOR),
    Explanation(("llama4",), "*.vision_adapter.mlp.fc2", "ffn.down", NOTHING, _CONNECTOR),
    Explanation(("xmod",), "*.adapter_modules.*.dense1", "ffn.other", "ffn.up", _ADAPTER),
    Explanation(("xmod",), "*.adapter_modules.*.dense2", "ffn.other", "ffn.down", _ADAPTER),
    *(
        Explanation((model_type,), f"{path}.{name}_proj", f"ffn.{name}", NOTHING, _CONNECTOR)
        for model_type, path in (
            ("idefics2", "*.modality_projection"),
            ("molmo2", "*.image_projector"),
        )
        for name in ("gate", "up", "down")
    ),
    *(
        Explanation(
            ("inkling_mm_model", "inkling_text"),
            f"*.mlp.shared_experts.{name}_proj",
            f"moe.shared.{name}",
            NOTHING,
            _BATCH,
        )
        for name in ("gate", "up", "down")
    ),
    Explanation(
        ("inkling2", "inkling2_text"),
        "*.self_attn.k_sconv.weight_proj",
        "attention.other",
        "attention.k",
        _SHORT_CONVOLUTION,
    ),
    Explanation(
        ("inkling2", "inkling2_text"),
        "*.self_attn.v_sconv.weight_proj",
        "attention.other",
        "attention.v",
        _SHORT_CONVOLUTION,
    ),
    Explanation(("zaya",), "*.qkv_proj.q_proj", "attention.q", "attention.qk", _ZAYA),
    Explanation(("zaya",), "*.qkv_proj.k_proj", "attention.k", "attention.qk", _ZAYA),
)


def explanation(model_type: str, difference: Difference) -> Explanation | None:
    """Return the first explanation that fits, or None."""
    return next((e for e in EXPLAINED if e.fits(model_type, difference)), None)


__all__ = ["EXPLAINED", "NOTHING", "Explanation", "explanation"]
