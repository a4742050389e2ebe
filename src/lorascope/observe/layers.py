"""What is followed through a forward pass: everything with a weight that multiplies or looks up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lorascope.build.kinds import shape_of
from lorascope.core.paths import joined
from lorascope.core.roles import Kind

if TYPE_CHECKING:
    import torch
    from torch import nn

_INPUT_OF_MULTIHEAD_ATTENTION = "in_proj_weight"


def layer_weights(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield path and weight of each layer, tied ones too.

    A layer is named as the inventory names it: a module by its path, a stack of experts and any
    other parameter of two or three dimensions by its full name.
    """
    for path, module in model.named_modules():
        kind = shape_of(module).kind
        for name, parameter in module._parameters.items():  # noqa: SLF001 - tied ones too
            if parameter is None or parameter.dim() < 2 or "bias" in name:
                continue
            if kind is not Kind.CONTAINER and name in ("weight", _INPUT_OF_MULTIHEAD_ATTENTION):
                yield path, parameter
            elif parameter.dim() <= 3 and min(parameter.shape) > 1:
                yield joined(path, name), parameter
