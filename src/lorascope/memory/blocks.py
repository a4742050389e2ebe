"""The stacks of repeated blocks of a model, and the module that makes its logits."""

from __future__ import annotations

from typing import Any

from torch import nn


def stacks_of(model: nn.Module) -> list[tuple[str, ...]]:
    """Return the paths of the blocks of each stack, in the order of `named_modules()`.

    A stack is a `ModuleList` that is not part of a block itself.
    """
    stacks: list[tuple[str, ...]] = []
    inside: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(above) for above in inside):
            continue
        if isinstance(module, nn.ModuleList) and len(module):
            stacks.append(tuple(f"{path}.{name}" for name, _ in module.named_children()))
            inside.append(f"{path}.")
    return stacks


def head_of(model: nn.Module) -> nn.Module | None:
    """Return the module that makes the logits: the output embedding, else a classifier.

    A classifier is the first module with parameters that the class adds to its base model.
    """
    head = _output_embedding(model)
    if head is not None:
        return head
    base = getattr(model, "base_model", model)
    if base is model:
        return None
    children = list(model.children())
    behind = children[children.index(base) + 1 :] if base in children else []
    return next((child for child in behind if any(True for _ in child.parameters())), None)


def _output_embedding(model: Any) -> nn.Module | None:
    try:
        found = model.get_output_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Module) else None
