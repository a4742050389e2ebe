"""Inputs that let a model's forward pass run: as few and as small as its class allows."""

from __future__ import annotations

import inspect
from typing import Any

import torch

TOKENS = 8
"""Length of the token sequence."""


class NoInputsError(Exception):
    """No inputs are known for this class; the text says what it takes."""


def inputs_for(model: torch.nn.Module, device: str) -> dict[str, Any]:
    """Return keyword arguments for one forward pass over text.

    Args:
        model: A transformers model.
        device: Where its weights are: `meta` or `cpu`.

    Raises:
        NoInputsError: Its forward takes no tokens.
    """
    names = inspect.signature(model.forward).parameters
    if "input_ids" not in names:
        raise NoInputsError(f"its forward takes no input_ids but {', '.join(list(names)[:4])}")
    tokens = torch.zeros((1, TOKENS), dtype=torch.long, device=device)
    inputs: dict[str, Any] = {"input_ids": tokens}
    if "decoder_input_ids" in names:
        inputs["decoder_input_ids"] = tokens
    elif (states := _encoder_states(model, device)) is not None:
        if "encoder_hidden_states" in names:
            inputs["encoder_hidden_states"] = states
        elif "encoder_outputs" in names:
            inputs["encoder_outputs"] = (states,)
    if "use_cache" in names:
        inputs["use_cache"] = False
    return inputs


def _encoder_states(model: torch.nn.Module, device: str) -> torch.Tensor | None:
    """Return states to attend to for a decoder that has cross-attention, or None."""
    config = getattr(model, "config", None)
    width = getattr(config, "hidden_size", None)
    names = ("encoder_attn", "crossattention", "cross_attn", "cross_attention")
    crosses = any(path.rpartition(".")[2] in names for path, _ in model.named_modules())
    if not crosses or not isinstance(width, int):
        return None
    return torch.zeros((1, TOKENS, width), device=device)
