"""Why named and observed roles differ where they do: one entry a finding, no entry a defect."""

from __future__ import annotations

_ZAYA = "query and key pass through one grouped convolution together before they are multiplied"

EXPLAINED: dict[tuple[str, str], str] = {
    ("jetmoe", "model.layers.#.self_attention.experts.router.layer"): (
        "the router decides in which order the experts' queries are made, so they carry its mark"
    ),
    ("zaya", "model.layers.#.self_attn.qkv_proj.k_proj"): _ZAYA,
    ("zaya", "model.layers.#.self_attn.qkv_proj.q_proj"): _ZAYA,
}
"""(model type, folded path) → the reason, read in the model's source."""
