"""Copies of a model that share nothing with it which a run could change."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from lorascope.build.failing import FAILURES, first_line
from lorascope.core.errors import MemoryPredictionError


class NotCopiedError(MemoryPredictionError):
    """The model cannot be copied, so it cannot be run: it is the user's own."""


def copied(
    model: nn.Module,
    make: Callable[[torch.Tensor], torch.Tensor],
    replaced: Callable[[], dict[int, Any]] = dict,
) -> nn.Module:
    """Return a deep copy of `model` that has other tensors.

    Args:
        model: Is not changed.
        make: Makes the copy's tensor of each parameter and buffer; parameters need no gradient.
        replaced: Makes a mapping of what is not copied either: identity → what stands for it.

    Raises:
        NotCopiedError: Its code or what it holds cannot be copied, or the copy would share
            modules or tensors with it.
    """
    try:
        memo = replaced()
        for parameter in model.parameters():
            memo[id(parameter)] = nn.Parameter(make(parameter.detach()), requires_grad=False)
        for buffer in model.buffers():
            memo[id(buffer)] = make(buffer.detach())
        twin = copy.deepcopy(model, memo)
    except FAILURES as error:
        raise _refused(model, first_line(error)) from error
    if not isinstance(twin, nn.Module):
        raise _refused(model, f"its copy is a {type(twin).__name__}")
    own = {id(each) for each in _parts(model)}
    shared = next((each for each in _parts(twin) if id(each) in own), None)
    if shared is not None:
        raise _refused(model, f"its copy shares a {type(shared).__name__} with it")
    return twin


def _parts(model: nn.Module) -> Iterator[object]:
    yield from model.modules()
    yield from model.parameters()
    yield from model.buffers()


def _refused(model: nn.Module, reason: str) -> NotCopiedError:
    return NotCopiedError(
        f"{type(model).__name__} cannot be copied to run without weights: {reason}",
        "Take out what cannot be copied (torch.nn.utils.remove_weight_norm, prune.remove, locks).",
    )
