"""How many places in the text the features of an image or a sound take: asked of the model."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from lorascope.observe.known_values import known_values

_IMAGES = 4
"""Dimensions of a batch of images; a list of images for each sample has one more."""


def method_of(model: nn.Module, *names: str) -> Callable[..., Any] | None:
    """Return the method that makes the features of one modality; None if there is none.

    Args:
        model: Its submodules are asked as well.
        names: Of the method: `get_image_features`.
    """
    # The outer class often only hands on to the inner one, and returns another form.
    for module in reversed(list(model.modules())):
        for name in names:
            method = getattr(module, name, None)
            if callable(method):
                return method  # type: ignore[no-any-return]  # a method of a model class
    return None


def feature_count(method: Callable[..., Any], given: Mapping[str, Any], seconds: float) -> int:
    """Return how many tokens the features of `given` take.

    Args:
        method: What makes them, of a model without weights: it runs.
        given: Arguments of forward; those that the method knows are handed to it.
        seconds: Computing time that it is given.
    """
    names = inspect.signature(method).parameters
    handed = {name: value for name, value in given.items() if name in names}
    pixels = handed.get("pixel_values")
    if (
        pixels is not None
        and pixels.dim() > _IMAGES
        and "pixel_attention_mask" in given.keys() - names
    ):
        # Whoever keeps the mask of a list of images to itself hands on the images one by one.
        handed["pixel_values"] = pixels.flatten(0, 1)
    with torch.no_grad(), known_values(seconds):
        made = method(**handed)
    return _rows(made)


def _rows(made: Any) -> int:
    for name in ("pooler_output", "last_hidden_state"):
        value = getattr(made, name, None)
        if value is not None:
            return _rows(value)
    if isinstance(made, torch.Tensor):
        return made.shape[:-1].numel()
    if isinstance(made, list | tuple):
        return sum(_rows(each) for each in made)
    return 0
