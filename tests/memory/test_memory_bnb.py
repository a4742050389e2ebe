"""The stand-ins against bitsandbytes itself, where it is installed."""

from typing import Any

import pytest
import torch
from torch import nn

from lorascope.core.training import TrainingSetup
from lorascope.memory.bnb_layers import Int8Linear, NF4Linear
from lorascope.memory.optimizers import make_optimizer

bnb = pytest.importorskip("bitsandbytes")

SHAPES = [(130, 100), (64, 64), (33, 7), (512, 300)]


def bytes_of(*tensors: torch.Tensor) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def of_stand_in(layer: nn.Module) -> int:
    return bytes_of(*layer.parameters(), *layer.buffers())


def real_nf4(inputs: int, outputs: int) -> Any:
    layer = bnb.nn.Linear4bit(
        inputs, outputs, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4"
    )
    weight = torch.randn(outputs, inputs, dtype=torch.bfloat16)
    layer.weight = bnb.nn.Params4bit(weight, quant_type="nf4", module=layer).to("cpu")
    return layer


def real_int8(inputs: int, outputs: int) -> Any:
    layer = bnb.nn.Linear8bitLt(inputs, outputs, bias=False, has_fp16_weights=False, threshold=6.0)
    weight = torch.randn(outputs, inputs, dtype=torch.bfloat16)
    layer.weight = bnb.nn.Int8Params(weight, requires_grad=False).to("cpu")
    return layer


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
def test_nf4_has_the_same_bytes(inputs: int, outputs: int) -> None:
    layer = real_nf4(inputs, outputs)
    state = layer.weight.quant_state
    expected = bytes_of(
        layer.weight, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code
    )
    assert of_stand_in(NF4Linear(inputs, outputs, None, torch.bfloat16)) == expected


@pytest.mark.parametrize(("inputs", "outputs"), SHAPES)
def test_int8_has_the_same_bytes(inputs: int, outputs: int) -> None:
    layer = real_int8(inputs, outputs)
    expected = bytes_of(layer.weight, layer.weight.SCB)
    assert of_stand_in(Int8Linear(inputs, outputs, None, on_cpu=True)) == expected


def test_int8_on_a_cpu_keeps_its_input_as_the_stand_in_does() -> None:
    x = torch.randn(3, 130, dtype=torch.bfloat16, requires_grad=True)
    kept = real_int8(130, 100)(x).grad_fn.A
    stand_in = Int8Linear(130, 100, None, on_cpu=True).to_empty(device="cpu")
    assert stand_in(x).grad_fn.x.nbytes == kept.nbytes


def test_8bit_states_have_the_same_bytes() -> None:
    shapes = [(300, 200), (20, 8), (4096, 1), (63, 65)]
    state: dict[str, int] = {}
    for maker in ("real", "stand-in"):
        params = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        for param in params:
            param.grad = torch.ones_like(param)
        optimizer: Any = (
            bnb.optim.AdamW(params, optim_bits=8)
            if maker == "real"
            else make_optimizer(TrainingSetup(optimizer="adamw-8bit"), params)
        )
        optimizer.step()
        tensors = [t for held in optimizer.state.values() for t in held.values()]
        storages = {t.data_ptr(): t for t in tensors if isinstance(t, torch.Tensor)}
        storages |= {t.data_ptr(): t for t in getattr(optimizer, "maps", ())}
        state[maker] = bytes_of(*storages.values())
    assert state["stand-in"] == state["real"]
