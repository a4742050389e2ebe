"""A copy of a model in which some blocks only hand on what they are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn

from lorascope.observe.copying import copied


class NotUnderstoodError(Exception):
    """Blocks of this model do not hand one hidden state from one to the next."""


class HandOn(nn.Module):
    """Stands for a block without running it: returns its hidden state as the blocks do.

    It has no parameters, and it is no layer that gradient checkpointing knows, so nothing is kept
    or computed again for it.
    """

    def __init__(self, block: nn.Module, before: Remembered, is_last: bool) -> None:
        """Take the plain attributes of `block`, which the model's loop may ask for.

        Args:
            block: The block that is left out.
            before: The block that runs before it.
            is_last: Whether the next block is a real one again.
        """
        super().__init__()
        for name, value in vars(block).items():
            if not name.startswith("_") and name not in ("training", "gradient_checkpointing"):
                self.__dict__[name] = value
        self._before = before
        self._is_last = is_last

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the hidden state, with all else that the block before returned."""
        hidden = hidden_state(args, kwargs)
        output = self._before.output_with(hidden)
        if self._is_last:
            self._before.forget()
        return output


class Remembered:
    """What a block returned beside its hidden state."""

    def __init__(self) -> None:
        self._rest: tuple[Any, ...] | None = None
        self._is_known = False

    def note(self, _block: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Remember the output of a block that has just run; a forward hook."""
        first = output[0] if type(output) is tuple and output else output
        hidden = hidden_state(args, kwargs)
        if not isinstance(first, torch.Tensor) or (first.shape, first.dtype) != (
            hidden.shape,
            hidden.dtype,
        ):
            raise NotUnderstoodError("A block returns something else than it is given.")
        self._rest = output[1:] if type(output) is tuple else None
        self._is_known = True

    def output_with(self, hidden: torch.Tensor) -> Any:
        """Return `hidden` in the structure that the block returned."""
        if not self._is_known:
            raise NotUnderstoodError("No block ran before.")
        return hidden if self._rest is None else (hidden, *self._rest)

    def forget(self) -> None:
        """Let go of what is remembered, so that it lives no longer than in the real model."""
        self._rest, self._is_known = None, False


def hidden_state(args: Sequence[Any], kwargs: dict[str, Any]) -> torch.Tensor:
    """Return the hidden state among the arguments of a block.

    Raises:
        NotUnderstoodError: It is neither the first argument nor named `hidden_states`.
    """
    found = args[0] if args else kwargs.get("hidden_states")
    if not isinstance(found, torch.Tensor):
        raise NotUnderstoodError("A block is not given its hidden state first.")
    return found


def thinned(model: nn.Module, groups: Collection[tuple[str, Sequence[str]]]) -> nn.Module:
    """Return a copy of `model` on the meta device that leaves blocks out.

    Args:
        model: Stays as it is; no tensor of the blocks left out is copied.
        groups: Paths of neighbouring blocks to leave out, each with the path of the block that
            runs just before them.
    """
    memo: dict[int, Any] = {}
    remembered = []
    for before, left_out in groups:
        memory = Remembered()
        remembered.append((before, memory))
        for path in left_out:
            block = model.get_submodule(path)
            memo[id(block)] = HandOn(block, memory, is_last=path == left_out[-1])
    twin = copied(model, lambda tensor: torch.empty_like(tensor, device="meta"), lambda: memo)
    for path, memory in remembered:
        twin.get_submodule(path).register_forward_hook(memory.note, with_kwargs=True)
    return twin
