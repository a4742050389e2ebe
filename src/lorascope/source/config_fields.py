"""Sizes as a config states them, whatever its model type calls them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "d_model", "n_embd", "n_embed", "dim", "model_dim"),
    "intermediate_size": (
        "intermediate_size",
        "ffn_dim",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "d_ff",
        "n_inner",
        "ffn_hidden_size",
        "hidden_dim",
    ),
    "num_hidden_layers": (
        "num_hidden_layers",
        "n_layer",
        "n_layers",
        "num_layers",
        "encoder_layers",
        "decoder_layers",
    ),
    "num_attention_heads": (
        "num_attention_heads",
        "n_head",
        "n_heads",
        "num_heads",
        "encoder_attention_heads",
        "decoder_attention_heads",
    ),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "num_experts": (
        "num_experts",
        "num_local_experts",
        "n_routed_experts",
        "moe_num_experts",
        "num_routed_experts",
    ),
    "experts_per_token": ("num_experts_per_tok", "num_experts_per_token", "moe_k", "moe_topk"),
}
"""Canonical field → what published configs call it, the commonest first.

Source: `attribute_map` and the fields of the configuration classes of transformers 5.23.0.
"""

DTYPE_SPELLINGS = ("dtype", "torch_dtype")
"""New name first (transformers 4.56 renamed `torch_dtype`)."""

_NOT_A_MODEL = frozenset({"quantization_config", "compression_config", "generation_config"})
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class StatedSizes:
    """Sizes that one level of a config states; None where it does not state one."""

    hidden_size: int | None = None
    intermediate_size: int | None = None
    num_hidden_layers: int | None = None
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    vocab_size: int | None = None
    num_experts: int | None = None
    experts_per_token: int | None = None
    dtype: str | None = None
    """Floating type of the checkpoint without a `torch.` prefix, for example `bfloat16`."""

    @property
    def stated(self) -> frozenset[str]:
        """Names of the fields that are stated (not None)."""
        return frozenset(
            name for name in self.__dataclass_fields__ if getattr(self, name) is not None
        )


@dataclass(frozen=True, slots=True)
class StatedConfig:
    """What a config states at its top level and in each sub-config."""

    top: StatedSizes
    subs: Mapping[str, StatedSizes]
    """By dotted path in config order: `text_config`, `thinker_config.text_config`, …"""

    @property
    def text(self) -> StatedSizes:
        """The level that describes the text model: `text_config` where stated, else the top."""
        for path, sizes in self.subs.items():
            if path.rpartition(".")[2] in TEXT_CONFIGS and sizes.stated - {"dtype"}:
                return sizes
        return self.top


TEXT_CONFIGS = frozenset({"text_config", "llm_config", "language_config", "text_model_config"})
"""What composite configs call the config of their text model."""


def stated_config(config: Mapping[str, Any]) -> StatedConfig:
    """Read the sizes that `config` states, level by level, old and new spellings alike."""
    return StatedConfig(
        top=stated_sizes(config),
        subs={path: stated_sizes(sub) for path, sub in sub_configs(config)},
    )


def stated_sizes(level: Mapping[str, Any]) -> StatedSizes:
    """Read the sizes that one level of a config states; values of a wrong type count as absent."""
    found = {name: named_size(level, name) for name in SPELLINGS}
    sizes = {name: size[1] for name, size in found.items() if size is not None}
    return StatedSizes(**sizes, dtype=_dtype(level))


def sub_configs(
    config: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (dotted path, sub-config) for every nested model config, outer before inner."""
    if depth >= _DEEPEST:
        return
    for key, value in config.items():
        if not (isinstance(value, Mapping) and key.endswith("_config")) or key in _NOT_A_MODEL:
            continue
        path = f"{prefix}{key}"
        yield path, value
        yield from sub_configs(value, f"{path}.", depth + 1)


def named_size(level: Mapping[str, Any], name: str) -> tuple[str, int] | None:
    """Return (spelling used, value) of a canonical size at one level, or None."""
    for spelling in SPELLINGS[name]:
        value = level.get(spelling)
        if isinstance(value, int) and not isinstance(value, bool):
            return spelling, value
    return None


def _dtype(level: Mapping[str, Any]) -> str | None:
    for spelling in DTYPE_SPELLINGS:
        value = level.get(spelling)
        if isinstance(value, str):
            return value.removeprefix("torch.")
    return None
