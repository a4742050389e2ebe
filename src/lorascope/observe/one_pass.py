"""One forward pass of a copy, with everything that it shows written down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from lorascope.build.failing import FAILURES, first_line
from lorascope.observe.attempts import (
    IMPLEMENTATION,
    configs_of,
    experts_implementation,
    quiet,
)
from lorascope.observe.flow import Flow, InputOf
from lorascope.observe.fused_attention import FusedAttention, attended
from lorascope.observe.gradients import flowing, inputs_with_gradients
from lorascope.observe.provenance import Identity, OutOfTimeError, Provenance, identity_of

if TYPE_CHECKING:
    from torch.multiprocessing.reductions import StorageWeakRef


def run(
    model: nn.Module,
    weights: Mapping[str, torch.Tensor],
    inputs: Mapping[str, Any],
    implementation: str,
    *,
    gradients: bool,
    seconds: float,
) -> Flow:
    """Run `model`, a copy that may be changed, once.

    Args:
        model: The copy.
        weights: Path of a layer → its weight, for everything that multiplies or looks up.
        inputs: Arguments of its forward.
        implementation: Which attention function of transformers it uses.
        gradients: Whether gradients flow from the inputs on, to see what autograd keeps.
        seconds: Computing time after which the pass is cut.

    Returns:
        What was seen, until its forward raised if it did.
    """
    watch = Watch(Provenance(weights, seconds))
    with (
        quiet(),
        _without_fast_path(),
        _calls_noted(model, watch),
        _watching(model, watch, implementation),
        FusedAttention(watch.provenance),
        flowing(model, watch.kept) if gradients else torch.no_grad(),
        watch.provenance,
    ):
        given = inputs_with_gradients(inputs) if gradients else dict(inputs)
        watch.provenance.give(tree_leaves(given))
        failure = None
        try:
            model(**given)
        except OutOfTimeError:
            failure = "its forward pass takes too long"
        except FAILURES as error:
            failure = first_line(error)
    return watch.flow(failure, gradients)


@dataclass(slots=True)
class Watch:
    """What is noted while a pass runs."""

    provenance: Provenance
    called: set[str] = field(default_factory=set)
    inputs: dict[str, Identity] = field(default_factory=dict)
    """Path of a module → the first tensor that it was called with."""
    kept: set[StorageWeakRef] = field(default_factory=set)

    def flow(self, failure: str | None, gradients: bool) -> Flow:
        """Return all of it in plain values."""
        inputs = self.provenance.inputs | self.inputs
        groups: dict[Identity, int] = {}
        return Flow(
            steps=tuple(self.provenance.steps),
            called=frozenset(self.called),
            read=frozenset(self.provenance.read),
            inputs={
                path: InputOf(
                    groups.setdefault(identity, len(groups)),
                    identity[0] in self.kept if gradients else None,
                )
                for path, identity in inputs.items()
            },
            failure=failure,
        )


@contextlib.contextmanager
def _without_fast_path() -> Iterator[None]:
    """Let PyTorch's own transformer layers call their modules, as they do in training."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextlib.contextmanager
def _calls_noted(model: nn.Module, watch: Watch) -> Iterator[None]:
    active = watch.provenance.active

    def enter(path: str, arguments: tuple[Any, ...]) -> None:
        active.append(path)
        watch.called.add(path)
        if path not in watch.inputs and arguments and isinstance(arguments[0], torch.Tensor):
            watch.inputs[path] = identity_of(arguments[0])

    handles = []
    for path, module in model.named_modules():
        handles += [
            module.register_forward_pre_hook(lambda _, inputs, path=path: enter(path, inputs)),
            module.register_forward_hook(lambda *_: _leave(active), always_call=True),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leave(active: list[str]) -> None:
    active.pop()


@contextlib.contextmanager
def _watching(model: nn.Module, watch: Watch, implementation: str) -> Iterator[None]:
    """Let every attention of `model` that goes through the interface be noted."""
    paths = {id(module): path for path, module in model.named_modules()}
    # A class without fused attention is built with "eager".
    fused = {id(c): c._attn_implementation_internal != "eager" for c in configs_of(model)}  # noqa: SLF001 - as below

    def attention(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **_options: Any,
    ) -> tuple[torch.Tensor, None]:
        del attention_mask
        is_fused = fused.get(id(getattr(module, "config", None)), True)
        batch, heads, length, _ = query.shape
        shape = (batch, length, heads, value.shape[-1])
        output = attended(query, key, value, shape, is_fused)
        watch.provenance.attend((query, key, value), output, paths.get(id(module)))
        return output, None

    AttentionInterface.register(IMPLEMENTATION, attention)
    AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)
    experts = experts_implementation(model)
    for config in configs_of(model):
        config._attn_implementation_internal = implementation  # noqa: SLF001 - of the copy
        config._experts_implementation_internal = experts  # noqa: SLF001 - as above
    try:
        yield
    finally:
        for interface in (AttentionInterface, AttentionMaskInterface):
            interface._global_mapping.pop(IMPLEMENTATION, None)  # noqa: SLF001 - no other way
