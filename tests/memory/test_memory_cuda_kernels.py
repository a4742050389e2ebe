"""What CUDA's fused kernels keep and allocate, as far as the recorder sees it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from lorascope.memory.cuda_attention import _efficient_buffers, _flash_buffers
from lorascope.memory.cuda_kernels import cuda_kernels
from lorascope.memory.recorder import Recorder

BATCH, HEADS, TOKENS, SIZE = 2, 4, 64, 16
INPUT = BATCH * HEADS * TOKENS * SIZE * 2
LOG_SUM = BATCH * HEADS * TOKENS * 4


def _kept(run: Callable[[Tensor], Tensor], *shape: int) -> int:
    """Bytes that live after `run` on a bf16 tensor, beyond that tensor."""
    with FakeTensorMode(), cuda_kernels():
        given = torch.empty(shape, dtype=torch.bfloat16, requires_grad=True)
        recorder = Recorder(1)
        recorder.add(given)
        with recorder:
            output = run(given)
        events, births = recorder.recording.events, recorder.recording.births
        sizes = [births[n].size * (1 if is_birth else -1) for n, is_birth, _ in events[1:]]
        assert output.requires_grad
        recorder.close()
    return sum(sizes)


def test_dropout_keeps_one_byte_an_element() -> None:
    output, mask = 100 * 2, 100
    assert _kept(lambda x: functional.dropout(x, 0.1, training=True), 100) == output + mask


def test_no_dropout_keeps_nothing() -> None:
    assert _kept(lambda x: functional.dropout(x, 0.0, training=True) * 1, 100) == 100 * 2


@pytest.mark.parametrize("options", [{}, {"dropout_p": 0.1}, {"is_causal": True}])
def test_attention_keeps_its_output_and_the_log_sum(options: dict[str, object]) -> None:
    def attend(x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, **options)

    assert _kept(attend, BATCH, HEADS, TOKENS, SIZE) == INPUT + LOG_SUM


def test_a_mask_of_truth_values_is_kept_as_numbers() -> None:
    def attend(x: Tensor) -> Tensor:
        mask = torch.empty((TOKENS, TOKENS), dtype=torch.bool)
        return functional.scaled_dot_product_attention(x, x, x, attn_mask=mask)

    kept = _kept(attend, BATCH, HEADS, TOKENS, SIZE)
    assert kept == INPUT + LOG_SUM + TOKENS * TOKENS * 2


def test_gradients_have_the_shapes_of_the_inputs() -> None:
    with FakeTensorMode(), cuda_kernels():
        query = torch.empty((BATCH, HEADS, TOKENS, SIZE), dtype=torch.bfloat16, requires_grad=True)
        key = torch.empty((BATCH, 2, TOKENS, SIZE), dtype=torch.bfloat16, requires_grad=True)
        output = functional.scaled_dot_product_attention(query, key, key, enable_gqa=True)
        output.sum().backward()
        assert output.shape == query.shape
        gradients = (query.grad, key.grad)
        assert [g.shape for g in gradients] == [query.shape, key.shape]


@pytest.mark.parametrize(("size", "columns"), [(16, 32), (96, 96), (128, 128), (160, 192)])
def test_flash_rounds_the_size_of_a_head_up(size: int, columns: int) -> None:
    query = torch.empty((BATCH, HEADS, TOKENS, size), dtype=torch.bfloat16, device="meta")
    _, sums = _flash_buffers(query, query)
    assert sums.shape == (BATCH, HEADS, 128, columns)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_efficient_kernel_sums_the_gradient_of_the_query_up(dtype: torch.dtype) -> None:
    query = torch.empty((BATCH, HEADS, TOKENS, 64), dtype=dtype, device="meta")
    log_sum = torch.empty((BATCH, HEADS, TOKENS), device="meta")
    _, workspace = _efficient_buffers(query, query, query, query.transpose(1, 2), log_sum)
    assert workspace.nbytes == 4 * query.numel()


def test_attention_under_autocast_keeps_half_precision() -> None:
    with FakeTensorMode(), cuda_kernels(), torch.autocast("cpu", torch.bfloat16):
        query = torch.empty((BATCH, HEADS, TOKENS, SIZE), requires_grad=True)
        output = functional.scaled_dot_product_attention(query, query, query)
        assert output.dtype is torch.bfloat16
