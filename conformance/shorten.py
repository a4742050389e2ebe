"""Leave out layers that are like earlier ones, so that every model type can be run in seconds."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

FEWEST = 2
"""Layers of a stack that are kept at least: what one layer makes, the next one reads."""

_PLAIN = (bool, float, str, type(None))
"""Types of the attributes by which layers may differ; numbers of layers are whole."""


def shorten(model: nn.Module) -> int:
    """Cut each stack of `model` behind the first layer of its last kind. Return how many went.

    Two layers are of one kind if their modules have the same names, classes, shapes and plain
    attributes. Experts are no stack.
    """
    dropped = 0
    for path, stack in model.named_modules():
        if isinstance(stack, nn.ModuleList) and "expert" not in path:
            keep = max(FEWEST, _kinds_end(stack))
            dropped += max(0, len(stack) - keep)
            del stack[keep:]
    return dropped


def _kinds_end(stack: nn.ModuleList) -> int:
    seen: set[object] = set()
    end = 0
    for index, layer in enumerate(stack):
        kind = tuple(_kind(layer))
        if kind not in seen:
            seen.add(kind)
            end = index + 1
    return end


def _kind(layer: nn.Module) -> Iterator[object]:
    for path, module in layer.named_modules():
        yield path, type(module)
        yield from ((name, tuple(p.shape)) for name, p in module.named_parameters(recurse=False))
        yield from (
            (name, value)
            for name, value in sorted(vars(module).items())
            if isinstance(value, _PLAIN) and name != "training"
        )
