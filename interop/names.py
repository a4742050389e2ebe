"""Modules of tools with names of their own, in the names of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lorascope.core.inventory import Inventory
from lorascope.matching.configured import At

_TORCHTUNE = (
    (r"layers\.(\d+)\.attn\.(q_proj|k_proj|v_proj)", r"model.layers.\1.self_attn.\2"),
    (r"layers\.(\d+)\.attn\.output_proj", r"model.layers.\1.self_attn.o_proj"),
    (r"layers\.(\d+)\.mlp\.w1", r"model.layers.\1.mlp.gate_proj"),
    (r"layers\.(\d+)\.mlp\.w2", r"model.layers.\1.mlp.down_proj"),
    (r"layers\.(\d+)\.mlp\.w3", r"model.layers.\1.mlp.up_proj"),
    (r"output", "lm_head"),
)
_LITGPT = (
    (r"transformer\.h\.(\d+)\.attn\.qkv\.([qkv])", r"model.layers.\1.self_attn.\2_proj"),
    (r"transformer\.h\.(\d+)\.attn\.proj", r"model.layers.\1.self_attn.o_proj"),
    (r"transformer\.h\.(\d+)\.mlp\.gate", r"model.layers.\1.mlp.gate"),
    (
        r"transformer\.h\.(\d+)\.mlp\.experts\.\d+\.(?:fc_1|fc_2)",
        r"model.layers.\1.mlp.experts.gate_up_proj",
    ),
    (r"transformer\.h\.(\d+)\.mlp\.experts\.\d+\.proj", r"model.layers.\1.mlp.experts.down_proj"),
    (r"transformer\.h\.(\d+)\.mlp\.fc_1", r"model.layers.\1.mlp.gate_proj"),
    (r"transformer\.h\.(\d+)\.mlp\.fc_2", r"model.layers.\1.mlp.up_proj"),
    (r"transformer\.h\.(\d+)\.mlp\.proj", r"model.layers.\1.mlp.down_proj"),
    (r"lm_head", "lm_head"),
)
_MLX = (
    (r"(model\.layers\.\d+)\.block_sparse_moe\.gate", r"\1.mlp.gate"),
    (
        r"(model\.layers\.\d+)\.block_sparse_moe\.switch_mlp\.(?:gate|up)_proj",
        r"\1.mlp.experts.gate_up_proj",
    ),
    (r"(model\.layers\.\d+)\.block_sparse_moe\.switch_mlp\.down_proj", r"\1.mlp.experts.down_proj"),
    (r"(.*)", r"\1"),
)
_PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "self_attn.qkv_proj": (("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),),
    "mlp.gate_up_proj": (("mlp.gate_proj", "mlp.up_proj"),),
}
"""Module that transformers fuses → the parts that all have to be adapted for it to be."""
_RULES: Mapping[str, Sequence[tuple[str, str]]] = {
    "torchtune": _TORCHTUNE,
    "litgpt": _LITGPT,
    "mlx": _MLX,
}


def in_transformers(
    names: str, adapted: Mapping[str, Sequence[float]], inventory: Inventory
) -> dict[str, At]:
    """Return what a tool adapts, in the names of transformers and in model order."""
    found = {path: At(int(rank), scale) for path, (rank, scale) in adapted.items()}
    if names:
        found = {_renamed(path, _RULES[names]): at for path, at in found.items()}
    for fused, ways in _PARTS.items():
        for module in inventory.modules:
            if not module.path.endswith(fused):
                continue
            before = module.path.removesuffix(fused)
            for parts in ways:
                held = [found.pop(before + part, None) for part in parts]
                if held[0] is not None and len(set(held)) == 1:
                    found[module.path] = held[0]
    order = {module.path: place for place, module in enumerate(inventory.modules)}
    return dict(sorted(found.items(), key=lambda each: order.get(each[0], len(order))))


def _renamed(path: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        match = re.fullmatch(pattern, path)
        if match is not None:
            return match.expand(replacement)
    return path
