"""Let gradients flow through a pass from its inputs, and see what autograd keeps for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from lorascope.observe.provenance import storage_of

if TYPE_CHECKING:
    from torch.multiprocessing.reductions import StorageWeakRef


@contextlib.contextmanager
def flowing(model: nn.Module, kept: set[StorageWeakRef]) -> Iterator[None]:
    """Let gradients flow from the embeddings on, and add to `kept` whatever autograd keeps.

    No parameter takes gradients, so that nothing is kept for an adapter's sake.
    """

    def keep(tensor: torch.Tensor) -> None:
        kept.add(storage_of(tensor))

    handles = [
        module.register_forward_hook(lambda _module, _inputs, output: with_gradients(output))
        for module in model.modules()
        if isinstance(module, nn.Embedding)
    ]
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, _never):
            yield
    finally:
        for handle in handles:
            handle.remove()


def with_gradients(values: Any) -> Any:
    """Return `values` with every floating tensor among them taking gradients."""
    return tree_map_only(torch.Tensor, _with_gradients, values)


def inputs_with_gradients(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the arguments of a forward pass."""
    return {name: with_gradients(value) for name, value in inputs.items()}


def _with_gradients(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point() or tensor.requires_grad:
        return tensor
    # A copy may be written to in place, a leaf may not.
    return tensor.detach().requires_grad_().clone()


def _never(_kept: None) -> torch.Tensor:
    raise RuntimeError("there is no backward pass")
