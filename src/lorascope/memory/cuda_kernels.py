"""What fused CUDA kernels allocate where a CPU takes another way.

On fake CPU tensors dropout keeps its noise in the tensor's own type, and attention with dropout,
with a mask or with unequal head sizes takes the plain way, which keeps tokens × tokens weights.
CUDA's kernels keep of dropout a mask of one byte an element, and of attention its inputs, its
output and the log-sum-exp.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from lorascope.memory.cuda_attention import fused_attention

_plain_dropout = functional.dropout


@contextlib.contextmanager
def cuda_kernels() -> Iterator[None]:
    """Let dropout and attention allocate as on CUDA, in the whole process, while this is open.

    The two functions are replaced in `torch.nn.functional`: a function mode would not reach what
    gradient checkpointing computes again within the backward pass.
    """
    with (
        mock.patch.object(functional, "dropout", _dropout),
        mock.patch.object(functional, "scaled_dot_product_attention", fused_attention),
    ):
        yield


def _dropout(
    input: Tensor,  # noqa: A002 - PyTorch's name, which callers use
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    if inplace or not training or not 0 < p < 1:
        return _plain_dropout(input, p, training, inplace)
    return torch.native_dropout(input, p, train=True)[0]
