"""Run a forward pass in mixed precision, as transformers' Trainer does with bf16 or fp16."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import convert_to_fp32

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup

_KEYS = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)  # noqa: SLF001 - PyTorch names it nowhere else

IN_FLOAT32 = (
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "group_norm", "layer_norm", "log", "log10",
    "log1p", "log2", "logsumexp", "native_layer_norm", "pow.Scalar", "pow.Tensor_Scalar",
    "pow.Tensor_Tensor", "reciprocal", "rms_norm", "rsqrt", "sinh", "softplus", "tan",
)  # fmt: skip
"""Operators that autocast runs in float32 on CUDA and leaves as they are on a CPU. Source: PyTorch
2.13, aten/src/ATen/autocast_mode.h, `AT_FORALL_FP32`; rare ones are left out."""

INTO_FLOAT32 = (
    "cumprod", "cumsum", "linalg_vector_norm", "log_softmax.int", "softmax.int", "sum",
    "sum.dim_IntList",
)  # fmt: skip
"""Those that it makes return float32 unless a type is asked for: `AT_FORALL_FP32_SET_OPT_DTYPE`."""


@contextlib.contextmanager
def mixed_precision(setup: TrainingSetup) -> Iterator[Callable[[Any], Any]]:
    """Run a forward pass under autocast if `setup` says so.

    The tensors of the run lie on the CPU; see `lists_of_cuda`.

    Yields:
        What accelerate's `convert_outputs_to_fp32` does with the outputs: half precision becomes
        float32. It changes nothing without autocast.
    """
    if not setup.autocast:
        yield lambda outputs: outputs
        return
    with torch.autocast("cpu", autocast_dtype(setup)):
        yield convert_to_fp32


def autocast_dtype(setup: TrainingSetup) -> torch.dtype:
    """Return the type autocast computes in: fp16 beside fp16 weights, bf16 beside all others."""
    return torch.float16 if setup.dtype == "fp16" else torch.bfloat16


@contextlib.contextmanager
def lists_of_cuda() -> Iterator[None]:
    """Let autocast treat operators on a CPU as it treats them on CUDA, in the whole process.

    Keep it open for the backward pass, in which checkpointing runs forward passes again.
    """
    with torch.library._scoped_library("aten", "IMPL") as library:  # noqa: SLF001 - the public class has no end
        for names, around in ((IN_FLOAT32, _in_float32), (INTO_FLOAT32, _into_float32)):
            for name in names:
                library.impl(name, around(_operator(name)), "AutocastCPU")
        yield


def _operator(name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def _in_float32(operator: Any) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(_KEYS):  # noqa: SLF001 - as torch.library.register_autocast
            return operator(*(_raised(each) for each in args), **kwargs)

    return run


def _into_float32(operator: Any) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        names = [argument.name for argument in operator._schema.arguments]  # noqa: SLF001 - public nowhere
        given = dict(zip(names, args, strict=False)) | kwargs
        if given.get("dtype") is None and _is_half(args[0]):
            kwargs = {**given, "dtype": torch.float32}
            args = (kwargs.pop(names[0]),)
        with torch._C._ExcludeDispatchKeyGuard(_KEYS):  # noqa: SLF001 - as above
            return operator(*args, **kwargs)

    return run


def _raised(value: Any) -> Any:
    return value.float() if _is_half(value) else value


def _is_half(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
