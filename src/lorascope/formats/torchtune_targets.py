"""torchtune's modules in the names of Hugging Face's classes, found by what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Role, Tower

ATTENTION: Mapping[str, frozenset[Role]] = {
    "q_proj": frozenset({Role.ATTENTION_Q, Role.ATTENTION_QKV}),
    "k_proj": frozenset({Role.ATTENTION_K, Role.ATTENTION_QKV, Role.ATTENTION_KV}),
    "v_proj": frozenset({Role.ATTENTION_V, Role.ATTENTION_QKV, Role.ATTENTION_KV}),
    "output_proj": frozenset({Role.ATTENTION_O}),
}
"""torchtune's attention modules; where a class fuses them, one module stands for several."""
MLP = "apply_lora_to_mlp"
"""The switch for the feed-forward layers."""
FEED_FORWARD = frozenset({Role.FFN_GATE, Role.FFN_UP, Role.FFN_DOWN, Role.FFN_GATE_UP})
_VISION_DEFAULTS = {
    "decoder_trainable": "frozen",
    "encoder_trainable": "lora",
    "fusion_trainable": "lora",
}
"""Source: torchtune 0.6.1, `lora_llama3_2_vision_11b`."""
_PROJECTION = ".global_transformer."
"""The blocks that torchtune counts as its projection head, which transformers has in the tower."""


def torchtune_targets(
    wanted: Sequence[str],
    inventory: Inventory,
    options: Mapping[str, Any],
    *,
    is_vision: bool = False,
) -> list[str]:
    """Return the full names of the modules that torchtune adapts.

    Args:
        wanted: As in `lora_attn_modules`; a name that torchtune does not have names nothing.
        inventory: Of the bare model.
        options: `apply_lora_to_mlp`, `apply_lora_to_output` and for a vision model
            `decoder_trainable`, `encoder_trainable` and `fusion_trainable`, where given.
        is_vision: Whether the builder is one of Llama 3.2 vision, whose parts are chosen apart.
    """
    roles = frozenset().union(*(ATTENTION.get(name, frozenset()) for name in wanted))
    if options.get(MLP):
        roles |= FEED_FORWARD
    parts = _parts(options) if is_vision else frozenset({"decoder", "fusion"})
    crossing = _crossing_layers(inventory)
    found = [
        module.path
        for module in inventory.adaptable
        if module.role in roles and _part(module, crossing) in parts
    ]
    if options.get("apply_lora_to_output"):
        found += _outputs(inventory, parts)
    return found


def _outputs(inventory: Inventory, parts: frozenset[str]) -> list[str]:
    """Return what `apply_lora_to_output` adds: the head, and of a vision model the projector."""
    head = inventory.model.output_embedding or inventory.model.classifier_head
    found = [m.path for m in inventory.adaptable if m.role is Role.PROJECTOR]
    found = found if "fusion" in parts else []
    return [*found, head] if head and "decoder" in parts else found


def _parts(options: Mapping[str, Any]) -> frozenset[str]:
    """Return which parts of a vision model get LoRA."""
    said = {name: options.get(name, default) for name, default in _VISION_DEFAULTS.items()}
    return frozenset(n.removesuffix("_trainable") for n, how in said.items() if how == "lora")


def _part(module: Module, crossing: frozenset[int | None]) -> str:
    """Return which part of Llama 3.2 vision a module is of, in torchtune's words."""
    if module.tower is Tower.VISION:
        return "fusion" if _PROJECTION in module.path else "encoder"
    if module.tower is Tower.PROJECTOR or module.layer in crossing:
        return "fusion"
    return "decoder"


def _crossing_layers(inventory: Inventory) -> frozenset[int | None]:
    """Return the blocks whose attention reads the image: torchtune's fusion layers."""
    return frozenset(
        module.layer
        for module in inventory.modules
        if module.cross_attention and module.tower not in (Tower.VISION, Tower.AUDIO)
    )
