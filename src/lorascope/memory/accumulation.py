"""The gradients that a later micro-batch finds: those that the ones before it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.training import TrainingSetup
    from lorascope.memory.recorder import Recorder


class Accumulated:
    """Gradients that live before the pass; none where nothing is accumulated."""

    def __init__(self, model: nn.Module, recorder: Recorder, setup: TrainingSetup) -> None:
        """Give each trained weight a gradient, if `setup` accumulates.

        Args:
            model: On fake tensors, ready to be trained.
            recorder: Notes the gradients.
            setup: How many micro-batches make an optimizer step.
        """
        self._numbers: dict[torch.Tensor, int] = {}
        self._is_reached: set[torch.Tensor] = set()
        if setup.accumulation == 1:
            return
        for weight in model.parameters():
            if weight.requires_grad:
                weight.grad = torch.zeros_like(weight)
                self._numbers[weight] = recorder.add(weight.grad)
                weight.register_post_accumulate_grad_hook(self._is_reached.add)  # type: ignore[no-untyped-call]

    def settle(self) -> dict[int, str | None]:
        """Take back the gradients of weights that the pass did not reach; call it afterwards.

        Returns:
            Number of each gradient's storage → its part; None for those taken back, since the
            micro-batches before, which are alike, did not reach them either.
        """
        parts: dict[int, str | None] = {}
        for weight, number in self._numbers.items():
            parts[number] = "gradient" if weight in self._is_reached else None
            if weight not in self._is_reached:
                weight.grad = None
        return parts

    def number_of(self, weight: torch.Tensor) -> int | None:
        """Return the number of a weight's gradient that lived before the pass."""
        return self._numbers.get(weight)
