"""Modules as Megatron Bridge calls them, found by what they do.

Source: Megatron-Bridge 0.6.0, the mappings of `models/*/*_bridge.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import PERCEPTION, Kind, Role

SPLITS: Mapping[str, tuple[str, ...]] = {
    "linear_qkv": ("linear_q", "linear_k", "linear_v"),
    "linear_fc1": ("linear_fc1_gate", "linear_fc1_up"),
}
"""Fused linear → its parts in the words of `CanonicalLoRA`, in order."""

_ATTENTION: Mapping[Role, tuple[str, str | None]] = {
    Role.ATTENTION_Q: ("self_attention.linear_qkv", "linear_q"),
    Role.ATTENTION_K: ("self_attention.linear_qkv", "linear_k"),
    Role.ATTENTION_V: ("self_attention.linear_qkv", "linear_v"),
    Role.ATTENTION_QKV: ("self_attention.linear_qkv", None),
    Role.ATTENTION_O: ("self_attention.linear_proj", None),
    Role.ATTENTION_Q_A: ("self_attention.linear_q_down_proj", None),
    Role.ATTENTION_Q_B: ("self_attention.linear_q_up_proj", None),
    Role.ATTENTION_KV_A: ("self_attention.linear_kv_down_proj", None),
    Role.ATTENTION_KV_B: ("self_attention.linear_kv_up_proj", None),
}
_FEED_FORWARD: Mapping[Role, tuple[str, str | None]] = {
    Role.FFN_GATE: ("mlp.linear_fc1", "linear_fc1_gate"),
    Role.FFN_UP: ("mlp.linear_fc1", "linear_fc1_up"),
    Role.FFN_GATE_UP: ("mlp.linear_fc1", None),
    Role.FFN_DOWN: ("mlp.linear_fc2", None),
    Role.MOE_ROUTER: ("mlp.router", None),
    Role.MOE_EXPERTS_GATE_UP: ("mlp.experts.linear_fc1", None),
    Role.MOE_EXPERTS_DOWN: ("mlp.experts.linear_fc2", None),
    Role.MOE_SHARED_GATE: ("mlp.shared_experts.linear_fc1", "linear_fc1_gate"),
    Role.MOE_SHARED_UP: ("mlp.shared_experts.linear_fc1", "linear_fc1_up"),
    Role.MOE_SHARED_GATE_UP: ("mlp.shared_experts.linear_fc1", None),
    Role.MOE_SHARED_DOWN: ("mlp.shared_experts.linear_fc2", None),
}
_NAMES = {**_ATTENTION, **_FEED_FORWARD}
"""Role → (linear inside of a block, part of it; None for the whole)."""
_LATENT = frozenset({Role.ATTENTION_KV_A, Role.ATTENTION_KV_B})
_KEPT: Mapping[str, tuple[str, str]] = {"qwen2_5_vl": ("model.visual.", "visual.")}
"""Model type → prefix of a tower that is taken from transformers as it is, there and here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one module of transformers is in Megatron's model."""

    path: str
    """In transformers."""
    name: str
    """Full name of Megatron's linear."""
    part: str | None
    """Which part of it, in the words of `CanonicalLoRA`; None for the whole."""

    @property
    def leaf(self) -> str:
        """Last part of the linear's name."""
        return self.name.rpartition(".")[2]

    @property
    def target(self) -> str:
        """Name with the part in place of the linear."""
        return self.name if self.part is None else self.name.removesuffix(self.leaf) + self.part


def places(inventory: Inventory) -> list[Place]:
    """Return where the linears of transformers are; what Megatron names otherwise is left out."""
    roles = {module.role for module in inventory.modules if module.tower not in PERCEPTION}
    is_gated = not roles.isdisjoint({Role.FFN_GATE, Role.FFN_GATE_UP})
    is_latent = not roles.isdisjoint(_LATENT)
    found = (_place(module, inventory, is_gated, is_latent) for module in _linears(inventory))
    return [place for place in found if place is not None]


def _linears(inventory: Inventory) -> Iterator[Module]:
    for module in inventory.modules:
        if module.alias_of is None and (module.kind.adaptable or module.role is Role.MOE_ROUTER):
            yield module


def _place(module: Module, inventory: Inventory, is_gated: bool, is_latent: bool) -> Place | None:
    kept = _KEPT.get(inventory.model.model_type or "")
    if kept is not None and module.path.startswith(kept[0]):
        is_linear = module.kind is Kind.LINEAR
        return (
            Place(module.path, kept[1] + module.path[len(kept[0]) :], None) if is_linear else None
        )
    if module.tower in PERCEPTION or module.role.group == "embedding":
        return None
    before = "language_model." if _has_perception(inventory) else ""
    if module.role is Role.HEAD_LM:
        return Place(module.path, f"{before}output_layer", None)
    if module.layer is None or module.role not in _NAMES:
        return None
    inside, part = _NAMES[module.role]
    if module.role is Role.FFN_UP and not is_gated:
        part = None
    if module.role is Role.ATTENTION_Q and is_latent:
        inside, part = "self_attention.linear_q_proj", None
    return Place(module.path, f"{before}decoder.layers.{module.layer}.{inside}", part)


def _has_perception(inventory: Inventory) -> bool:
    return any(module.tower in PERCEPTION for module in inventory.modules)
