"""Optimizers of a predicted step: which states they hold."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim import Optimizer
from transformers import TrainingArguments

from lorascope.core.training import OPTIMIZERS, TrainingSetup
from lorascope.memory.fake_step import Trained
from lorascope.memory.optimizer_step import run_optimizer
from lorascope.memory.optimizers import make_optimizer, paged_bytes


def stepped(name: str, *shapes: tuple[int, ...], device: str = "cuda") -> Optimizer:
    params = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer = make_optimizer(TrainingSetup(optimizer=name, device=device), params)
    optimizer.step()
    optimizer.step()
    return optimizer


def state_bytes(optimizer: Optimizer) -> int:
    held = [t for state in optimizer.state.values() for t in state.values()]
    maps = list(getattr(optimizer, "maps", ()))
    return sum(t.nbytes for t in held + maps if isinstance(t, torch.Tensor) and t.numel() > 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adamw", 2 * 4 * 128 * 64),
        ("sgd", 0),
        ("adafactor", 4 * (128 + 64)),
        ("adamw-8bit", 2 * 128 * 64 + 2 * 4 * 32 + 2 * 4 * 256),
    ],
)
def test_bytes_of_state(name: str, expected: int) -> None:
    assert state_bytes(stepped(name, (128, 64))) == expected


def test_small_parameters_keep_float32_states() -> None:
    assert state_bytes(stepped("adamw-8bit", (4095,))) == 2 * 4 * 4095


def test_one_pair_of_maps_for_all() -> None:
    one, two = (state_bytes(stepped("adamw-8bit", *[(64, 64)] * n)) for n in (1, 2))
    assert two - one == 2 * 4096 + 2 * 4 * 16


def test_paged_states_are_counted_apart() -> None:
    paged = stepped("paged-adamw-8bit", (1000, 100))
    assert state_bytes(paged) == 2 * 4 * 391 + 2 * 4 * 256
    setup = TrainingSetup(optimizer="paged-adamw-8bit")
    assert paged_bytes(setup, [100_000, 99_999]) == 2 * 100_000


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=4))
def test_paged_and_held_are_the_unpaged_states(sizes: list[int]) -> None:
    with torch.device("meta"):
        shapes = [(size,) for size in sizes]
        plain, paged = (stepped(name, *shapes) for name in ("adamw-8bit", "paged-adamw-8bit"))
        apart = paged_bytes(TrainingSetup(optimizer="paged-adamw-8bit"), sizes)
    assert state_bytes(plain) == state_bytes(paged) + apart


def test_nothing_is_paged_on_a_cpu() -> None:
    setup = TrainingSetup(optimizer="paged-adamw-8bit", device="cpu")
    assert paged_bytes(setup, [100_000]) == 0
    assert state_bytes(stepped("paged-adamw-8bit", (100_000,), device="cpu")) > 200_000


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_each_steps_on_fake_tensors(name: str, device: str) -> None:
    with FakeTensorMode():
        assert bool(stepped(name, (64, 64), (8,), device=device).state) is (name != "sgd")


@pytest.mark.parametrize(("device", "foreach"), [("cuda", True), ("cpu", False)])
def test_the_loop_is_the_devices_default(device: str, foreach: bool) -> None:
    assert stepped("sgd", (4,), device=device).defaults["foreach"] is foreach


def test_adamw_on_cuda_is_the_trainers_default() -> None:
    assert TrainingArguments.default_optim == "adamw_torch_fused"
    assert stepped("adamw", (4,)).defaults["fused"] is True
    assert not stepped("adamw", (4,), device="cpu").defaults["fused"]


def test_fused_adamw_needs_nothing_for_a_moment() -> None:
    trained = [Trained((64, 32), torch.float32, 0)] * 3
    step = run_optimizer(trained, TrainingSetup())
    assert not step.changes
    # Two states a weight, and the count of its steps in a block of its own.
    assert step.state_bytes == 3 * (2 * 4 * 64 * 32 + 512)
    assert run_optimizer(trained, TrainingSetup(device="cpu")).changes
