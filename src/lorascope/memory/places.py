"""Tell the recorder where in the model the step is: hooks on modules and on their outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from lorascope.memory.recorder import Phase, Place, Recorder
from lorascope.observe.thin import HandOn


@contextlib.contextmanager
def places_followed(
    model: nn.Module, recorder: Recorder, blocks: Mapping[str, int], head: nn.Module | None
) -> Iterator[None]:
    """Keep `recorder.place` up to date while the step runs.

    Args:
        model: The model that runs, with the names that places shall have.
        recorder: Whose place is kept.
        blocks: Path of each block → its index.
        head: The module that makes the logits; None if there is none.
    """
    follower = _Follower(recorder)
    handles: list[Any] = []
    for path, module in model.named_modules():
        place = _place_of(path, blocks)
        if place is None or isinstance(module, HandOn):
            continue
        handles.append(module.register_forward_pre_hook(follower.entering(place, module is head)))
        handles.append(module.register_forward_hook(follower.leaving, always_call=True))
        if not place.module or not any(True for _ in module.children()):
            handles.append(module.register_forward_hook(follower.watch_gradient(place)))
    if head is not None:
        handles.append(head.register_forward_pre_hook(follower.watch_head_input, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _place_of(path: str, blocks: Mapping[str, int]) -> Place | None:
    """Where `path` is: a block, a child of one, or a module outside; None if deeper in a block."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        index = blocks.get(".".join(parts[:end]))
        if index is not None:
            inside = parts[end:]
            return Place(Phase.FORWARD, index, ".".join(inside)) if len(inside) < 2 else None
    return Place(Phase.FORWARD, None, path)


class _Follower:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stack: list[Place] = []

    def entering(self, place: Place, is_head: bool) -> Any:
        def hook(_module: nn.Module, _inputs: Any) -> None:
            recorder = self._recorder
            self._stack.append(recorder.place)
            recorder.depth += 1
            if recorder.place.phase is Phase.FORWARD:
                self._mark(place)
                is_loss = is_head or recorder.place.is_loss
                recorder.place = Place(Phase.FORWARD, place.block, place.module, is_loss)

        return hook

    def leaving(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        recorder = self._recorder
        before = self._stack.pop()
        recorder.depth -= 1
        if recorder.place.phase is Phase.FORWARD:
            # Once the head has run, all that follows makes the loss.
            is_loss = recorder.place.is_loss or before.is_loss
            recorder.place = Place(Phase.FORWARD, before.block, before.module, is_loss)

    def watch_gradient(self, place: Place) -> Any:
        """The gradient of what `place` returned is complete when its backward pass begins."""

        def arrived(_gradient: torch.Tensor) -> None:
            recorder = self._recorder
            is_loss = recorder.place.is_loss
            self._mark(place)
            module = place.module if place.block is None else ""
            recorder.place = Place(Phase.BACKWARD, place.block, module, is_loss)

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if self._recorder.place.phase is not Phase.FORWARD:
                return
            for leaf in tree_leaves(output):
                if isinstance(leaf, torch.Tensor) and leaf.requires_grad:
                    _on_gradient(leaf, arrived)
                    return

        return hook

    def _mark(self, place: Place) -> None:
        if place.block is not None and not place.module:
            recording = self._recorder.recording
            phase = self._recorder.place.phase
            recording.marks.append((len(recording.events), phase, place.block))

    def watch_head_input(self, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._recorder.place.phase is not Phase.FORWARD:
            return
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, torch.Tensor) and leaf.requires_grad:
                _on_gradient(leaf, self._head_done)
                return

    def _head_done(self, gradient: torch.Tensor) -> None:
        recorder = self._recorder
        recorder.place = Place(Phase.BACKWARD, None, recorder.place.module)
        recorder.recording.head_gradient = recorder.add(gradient)


def _on_gradient(tensor: torch.Tensor, hook: Callable[[torch.Tensor], None]) -> None:
    tensor.register_hook(hook)  # type: ignore[no-untyped-call]  # PyTorch carries no types here
