"""The order in which the rows of one group of roles are shown, whatever the model's is."""

from __future__ import annotations

from lorascope.core.roles import Role

_ORDER = (
    Role.ATTENTION_Q,
    Role.ATTENTION_Q_A,
    Role.ATTENTION_Q_B,
    Role.ATTENTION_K,
    Role.ATTENTION_V,
    Role.ATTENTION_QK,
    Role.ATTENTION_KV,
    Role.ATTENTION_KV_A,
    Role.ATTENTION_KV_B,
    Role.ATTENTION_QKV,
    Role.ATTENTION_QKVO,
    Role.ATTENTION_O,
    Role.ATTENTION_O_A,
    Role.ATTENTION_O_B,
    Role.FFN_GATE,
    Role.FFN_UP,
    Role.FFN_GATE_UP,
    Role.FFN_DOWN,
)
_PLACES = {role.value: place for place, role in enumerate(_ORDER)}


def role_place(role: str) -> int:
    """Return where a role's rows stand in its group; what is not listed stands behind."""
    return _PLACES.get(role, len(_PLACES))
