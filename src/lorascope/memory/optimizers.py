"""The optimizer of a training step, with the states and the allocations of the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch.nn import Parameter
from torch.optim import SGD, AdamW, Optimizer

from lorascope.core.training import TrainingSetup

STATE_BLOCK = 256
"""Values of an 8-bit state that share one float32 scale."""
SMALLEST_8BIT = 4096
"""Parameters with fewer elements keep float32 states (`min_8bit_size`)."""
SMALLEST_PAGED = 100_000
"""Parameters with fewer elements keep their states in the device's memory."""
MAP_CODES = 256

_LEARNING_RATE = 1e-4


def make_optimizer(setup: TrainingSetup, params: Iterable[Parameter]) -> Optimizer:
    """Return the optimizer that `setup` names, for one or more steps over `params`.

    `adamw` on CUDA is PyTorch's fused one, the Trainer's default (`adamw_torch_fused`,
    transformers 5.23.0, `training_args.py`), which works in place. Elsewhere `adamw`, and `sgd`,
    are PyTorch's with the loop that it takes by default on `setup.device` (several tensors at
    once on CUDA, one after the other on a CPU); Adafactor is transformers', with the arguments of
    its Trainer; the 8-bit ones are stand-ins of bitsandbytes'.
    """
    return _MAKERS[setup.optimizer](setup, list(params))


def paged_bytes(setup: TrainingSetup, elements: Iterable[int]) -> int:
    """Return the bytes of optimizer state in managed memory, which pages to the host on need.

    They are no part of the device's peak. bitsandbytes does not page on a CPU.

    Args:
        setup: Names the optimizer and the device.
        elements: Of each parameter that is trained.
    """
    if not _is_paged(setup):
        return 0
    return sum(2 * count for count in elements if count >= SMALLEST_PAGED)


def _is_paged(setup: TrainingSetup) -> bool:
    return setup.optimizer == "paged-adamw-8bit" and setup.device == "cuda"


class AdamW8bit(Optimizer):
    """Holds what bitsandbytes' `AdamW(optim_bits=8)` holds; updates nothing.

    For each parameter: two states of one byte an element and a float32 scale for each 256 of
    them, or two float32 states below 4,096 elements; one pair of 256-entry tables in all. The
    update is in place and allocates nothing. Source: bitsandbytes 0.50.2, `optim/optimizer.py`.

    Args:
        params: What is trained.
        paged: States of at least 100,000 elements are in managed memory and left out here.
    """

    def __init__(self, params: Iterable[Parameter], *, paged: bool) -> None:
        super().__init__(params, {})
        self.paged = paged
        self.maps: tuple[torch.Tensor, ...] = ()

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # noqa: D102
        loss = closure() if closure else None
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None and not self.state[param]:
                    self.state[param] = self._new_state(param)
        return loss

    def _new_state(self, param: Parameter) -> dict[str, Any]:
        if param.numel() < SMALLEST_8BIT:
            names = ("state1", "state2")
            return {name: torch.zeros_like(param, dtype=torch.float32) for name in names}
        if not self.maps:
            self.maps = tuple(
                torch.zeros(MAP_CODES, dtype=torch.float32, device=param.device) for _ in range(2)
            )
        blocks = -(-param.numel() // STATE_BLOCK)
        state: dict[str, Any] = {
            name: torch.zeros(blocks, dtype=torch.float32, device=param.device)
            for name in ("absmax1", "absmax2")
        }
        if self.paged and param.numel() >= SMALLEST_PAGED:
            return state
        for name in ("state1", "state2"):
            state[name] = torch.zeros_like(param, dtype=torch.uint8)
        return state


def _adamw(setup: TrainingSetup, params: list[Parameter]) -> Optimizer:
    if setup.device == "cuda":
        return AdamW(params, lr=_LEARNING_RATE, fused=True)
    return AdamW(params, lr=_LEARNING_RATE, foreach=False)


def _sgd(setup: TrainingSetup, params: list[Parameter]) -> Optimizer:
    return SGD(params, lr=_LEARNING_RATE, foreach=setup.device == "cuda")


def _adafactor(_: TrainingSetup, params: list[Parameter]) -> Optimizer:
    from transformers.optimization import Adafactor

    made: Optimizer = Adafactor(
        params, lr=_LEARNING_RATE, scale_parameter=False, relative_step=False
    )
    return made


def _adamw_8bit(setup: TrainingSetup, params: list[Parameter]) -> Optimizer:
    return AdamW8bit(params, paged=_is_paged(setup))


_MAKERS: dict[str, Callable[[TrainingSetup, list[Parameter]], Optimizer]] = {
    "adamw": _adamw,
    "adamw-8bit": _adamw_8bit,
    "paged-adamw-8bit": _adamw_8bit,
    "adafactor": _adafactor,
    "sgd": _sgd,
}
