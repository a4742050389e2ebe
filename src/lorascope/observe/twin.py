"""A copy of a model whose weights cost nothing, so that the user's model is never touched."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lorascope.observe.copying import copied
from lorascope.observe.inputs.fill import fill_in, left_open
from lorascope.observe.real_memory import MOST_AT_ONCE, TooLargeError

LARGEST_WEIGHT = 2**31
"""Bytes, in float32, of the largest weight that is multiplied with real zeros: the head of a
vocabulary of 128,256 and a width of 4,096."""


def meta_twin(model: nn.Module) -> nn.Module:
    """Return a copy of `model` with all parameters and buffers on the meta device."""
    return _twin(model, lambda tensor: torch.empty_like(tensor, device="meta"))


def hollow_twin(model: nn.Module) -> nn.Module:
    """Return a copy on the CPU whose weights are real zeros that share one element each.

    For what meta tensors cannot do: a forward pass that asks for values. A weight of any size
    takes one element; a product with it needs room for that one weight only.

    Raises:
        TooLargeError: That room, or that for the buffers, is more than a run may take.
    """
    _check_room(model)
    return _twin(model, _hollow)


def _check_room(model: nn.Module) -> None:
    largest = max((4 * parameter.numel() for parameter in model.parameters()), default=0)
    if largest > LARGEST_WEIGHT:
        raise TooLargeError(f"a weight asks for {largest / 2**20:,.0f} MiB of real memory")
    buffers = sum(buffer.nbytes for buffer in model.buffers())
    if buffers > MOST_AT_ONCE:
        raise TooLargeError(f"the buffers ask for {buffers / 2**20:,.0f} MiB of real memory")


def _hollow(tensor: torch.Tensor) -> torch.Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return torch.zeros((), dtype=dtype).expand(tensor.shape)


def _twin(model: nn.Module, make: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    twin = copied(model, make)
    # A buffer may be written to, so it needs an element for each of its own.
    cloned: dict[int, torch.Tensor] = {}
    for module in twin.modules():
        for name, buffer in module._buffers.items():  # noqa: SLF001 - no setter keeps the class
            if buffer is not None and not buffer.is_meta:
                made = cloned.setdefault(id(buffer), buffer.clone())
                module._buffers[name] = made  # noqa: SLF001 - as above
    _settle(twin)
    return twin.eval()


def experts_implementation(model: nn.Module) -> str:
    """Return which implementation of experts a copy runs with.

    Meta tensors cannot say which experts were chosen; the batched product need not know.
    """
    first = next(model.parameters(), None)
    return "batched_mm" if first is not None and first.device.type == "meta" else "eager"


def _settle(twin: nn.Module) -> None:
    """Fill in what the config leaves open and the forward pass needs; keep no cache."""
    fill_in(twin, left_open(twin))
    experts = experts_implementation(twin)
    for module in twin.modules():
        config = getattr(module, "config", None)
        if config is None:
            continue
        if getattr(config, "use_cache", False):
            config.use_cache = False
        if hasattr(config, "_experts_implementation_internal"):
            config._experts_implementation_internal = experts  # noqa: SLF001 - no other way
