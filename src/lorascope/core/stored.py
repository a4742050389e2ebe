"""Tensors of a trained adapter, as the header of its file lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of `adapter_model.safetensors`."""

    name: str
    """As stored, for example `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`."""
    shape: tuple[int, ...]
    dtype: str
    """As safetensors spells it: `F32`, `BF16`, …"""
