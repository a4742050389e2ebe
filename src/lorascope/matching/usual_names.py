"""What the names that target lists are written with usually do, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lorascope.core.roles import Role

_Q_LATENT = (Role.ATTENTION_Q_B, Role.ATTENTION_Q_A)
_KV_LATENT = (Role.ATTENTION_KV_B, Role.ATTENTION_KV_A)
_FUSED_Q = (Role.ATTENTION_QKV, Role.ATTENTION_QK, Role.ATTENTION_QKVO)
_Q = (Role.ATTENTION_Q, *_FUSED_Q, *_Q_LATENT)
_K = (Role.ATTENTION_K, *_FUSED_Q, Role.ATTENTION_KV, *_KV_LATENT)
_V = (
    Role.ATTENTION_V,
    Role.ATTENTION_QKV,
    Role.ATTENTION_KV,
    Role.ATTENTION_QKVO,
    *_KV_LATENT,
)
_O = (Role.ATTENTION_O, Role.ATTENTION_QKVO)
_QKV = (Role.ATTENTION_QKV, Role.ATTENTION_Q, Role.ATTENTION_K, Role.ATTENTION_V)
_GATE = (Role.FFN_GATE, Role.FFN_GATE_UP, Role.MOE_EXPERTS_GATE, Role.MOE_EXPERTS_GATE_UP)
_UP = (Role.FFN_UP, Role.FFN_GATE_UP, Role.MOE_EXPERTS_UP, Role.MOE_EXPERTS_GATE_UP)
_DOWN = (Role.FFN_DOWN, Role.MOE_EXPERTS_DOWN)
_GATE_UP = (Role.FFN_GATE_UP, Role.MOE_EXPERTS_GATE_UP, Role.FFN_GATE, Role.FFN_UP)

ROLES_OF_NAME: Mapping[str, Sequence[Role]] = {
    **dict.fromkeys(("q_proj", "q", "query", "wq", "to_q"), _Q),
    **dict.fromkeys(("k_proj", "k", "key", "wk", "to_k"), _K),
    **dict.fromkeys(("v_proj", "v", "value", "wv", "to_v"), _V),
    **dict.fromkeys(("o_proj", "o", "out_proj", "wo", "to_out"), _O),
    **dict.fromkeys(("qkv_proj", "qkv", "query_key_value", "c_attn", "Wqkv"), _QKV),
    **dict.fromkeys(("gate_proj", "w1"), _GATE),
    **dict.fromkeys(("up_proj", "w3", "fc1"), _UP),
    **dict.fromkeys(("down_proj", "w2", "fc2"), _DOWN),
    "gate_up_proj": _GATE_UP,
}
"""Names that target lists are written with → the roles that do that work, the closest first."""

LATENT_ROLES = frozenset({*_Q_LATENT, *_KV_LATENT})
"""Roles of the two steps of which latent attention makes a projection: both may be meant."""

FUSED_NAMES = frozenset({"qkv_proj", "qkv", "query_key_value", "c_attn", "wqkv", "gate_up_proj"})
"""Names of projections that stand for several, so that several may be what is meant."""
