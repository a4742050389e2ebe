"""Whether a linear module's output is x·Wᵀ + b, found by running a copy of it on random tensors.

LoRA adds x·Aᵀ·Bᵀ to what the module returns, which is an update of W only if that is so.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from lorascope.build.kinds import shape_of
from lorascope.core.roles import Kind

LARGEST = 1 << 20
"""Elements of a weight that is tried as it is; a larger one is tried with fewer features."""

_FEWER = 64
"""Features of a module whose weight is too large to be tried."""

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

_PLAIN = (bool, int, float, str, type(None))


def not_affine(model: nn.Module) -> Mapping[str, bool]:
    """Return path → whether it is affine, for the linear modules that could be judged.

    `nn.Linear` and subclasses that keep its forward are affine by definition. Others are run:
    a copy with small random weights, once for each class and configuration. Left out is what
    cannot be judged so: a forward that takes more than one tensor, a quantized weight, a module
    with hooks, which are somebody's code. The model is neither run nor changed.
    """
    judged: dict[tuple[object, ...], bool | None] = {}
    found = {}
    for path, module in model.named_modules():
        if shape_of(module).kind not in (Kind.LINEAR, Kind.CONV1D):
            continue
        key = _configuration(module)
        if key not in judged:
            judged[key] = is_affine(module)
        verdict = judged[key]
        if verdict is not None:
            found[path] = verdict
    return found


def is_affine(module: nn.Module) -> bool | None:
    """Return whether a linear module's output is x·Wᵀ + b; None if that cannot be judged."""
    if _has_hooks(module):
        return None
    if type(module).forward is nn.Linear.forward and not hasattr(module, "parametrizations"):
        return True
    weight = _weight(module)
    if weight.dtype not in _FLOATS or weight.dim() != 2 or type(weight.data) is not torch.Tensor:
        return None
    if _judged(_copy(module, _weightless)) is False:
        return False
    if weight.numel() <= LARGEST:
        return _judged(_copy(module, _random))
    # Its other attributes may not suit fewer features, so that only a yes is certain.
    return _judged(_smaller(_copy(module, _fewer))) or None


def _weight(module: nn.Module) -> torch.Tensor:
    weight: torch.Tensor = module.weight  # type: ignore[assignment]  # of a linear module
    return weight


def _configuration(module: nn.Module) -> tuple[object, ...]:
    """Return what two modules have in common that behave alike."""
    plain = ((name, value) for name, value in vars(module).items() if isinstance(value, _PLAIN))
    shapes = ((name, parameter.shape) for name, parameter in module.named_parameters())
    return (type(module), _has_hooks(module), *sorted(plain, key=lambda item: item[0]), *shapes)


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)  # noqa: SLF001 - no other way


def _judged(module: nn.Module | None) -> bool | None:
    """Judge from the first shape of input that the module takes; without values by shape only."""
    if module is None:
        return None
    weight = _weight(module).T if isinstance(module, Conv1D) else _weight(module)
    bias: Any = getattr(module, "bias", None)
    for shape in _shapes(module, weight.shape[1]):
        given = _random(torch.empty(shape)).to(weight.device)
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                made: Any = module(given.clone())
        except Exception:  # noqa: S112 - whatever it raises, it does not take this shape
            continue
        expected = nn.functional.linear(given, weight, bias)
        if not isinstance(made, torch.Tensor) or made.shape != expected.shape:
            return False
        return made.is_meta or torch.allclose(made.to(expected.dtype), expected)
    return None


def _shapes(module: nn.Module, features: int) -> Iterator[tuple[int, ...]]:
    yield (2, 3, features)
    yield (3, features)
    # Grouped modules take one row for each group, and state how many groups they have.
    for value in vars(module).values():
        if type(value) is int and 1 < value <= _FEWER:
            yield (2, value, features)


def _copy(module: nn.Module, make: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module | None:
    """Return a copy whose tensors `make` makes from the module's; None if it cannot be copied."""
    memo: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        is_parameter = isinstance(tensor, nn.Parameter)
        made = make(tensor.detach())
        memo[id(tensor)] = nn.Parameter(made, requires_grad=False) if is_parameter else made
    try:
        made_copy: nn.Module = copy.deepcopy(module, memo)
    except Exception:  # a class may refuse to be copied, in its own words
        return None
    return made_copy.eval()


def _smaller(module: nn.Module | None) -> nn.Module | None:
    """Let the copy state the fewer features that its weight has."""
    for name in ("in_features", "out_features", "nf", "nx"):
        if isinstance(size := getattr(module, name, None), int):
            setattr(module, name, min(size, _FEWER))
    return module


def _weightless(tensor: torch.Tensor) -> torch.Tensor:
    dtype = torch.float64 if tensor.is_floating_point() else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype, device="meta")


def _random(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype)
    generator = torch.Generator().manual_seed(0)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64)


def _fewer(tensor: torch.Tensor) -> torch.Tensor:
    shape = [min(size, _FEWER) for size in tensor.shape]
    return _random(torch.empty(shape, dtype=tensor.dtype))
