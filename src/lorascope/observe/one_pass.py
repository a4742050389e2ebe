"""One forward pass of a copy, with everything that it shows written down."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from lorascope.observe.attempts import (
    IMPLEMENTATION,
    configs_of,
    experts_implementation,
    quiet,
)
from lorascope.observe.provenance import OutOfTimeError, Provenance, Trace, linear_weights

SECONDS = 60.0
"""Time that one forward pass is given."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one forward pass showed."""

    trace: Trace
    called: frozenset[str]
    """Paths of the modules whose forward ran."""
    out_of_time: bool = False
    """True if the pass was cut."""


def run(model: nn.Module, inputs: Mapping[str, Any], implementation: str) -> Pass:
    """Run `model`, a copy that may be changed, once.

    Args:
        model: The copy.
        inputs: Arguments of its forward.
        implementation: Which attention function of transformers it uses.

    Raises:
        Exception: Whatever its forward raises.
    """
    provenance = Provenance(dict(linear_weights(model)), SECONDS)
    called: set[str] = set()
    paths = {id(module): path for path, module in model.named_modules()}
    out_of_time = False
    with (
        quiet(),
        torch.no_grad(),
        _calls_noted(model, provenance, called),
        _watching(model, provenance, paths, implementation),
        provenance,
    ):
        try:
            model(**inputs)
        except OutOfTimeError:
            out_of_time = True
    return Pass(provenance.trace, frozenset(called), out_of_time)


@contextlib.contextmanager
def _calls_noted(model: nn.Module, provenance: Provenance, called: set[str]) -> Iterator[None]:
    def enter(path: str) -> None:
        called.add(path)
        provenance.active.append(path)

    handles = []
    for path, module in model.named_modules():
        before = module.register_forward_pre_hook(lambda _module, _inputs, path=path: enter(path))
        after = module.register_forward_hook(lambda _module, _inputs, _output: _leave(provenance))
        handles += [before, after]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _leave(provenance: Provenance) -> None:
    provenance.active.pop()


@contextlib.contextmanager
def _watching(
    model: nn.Module, provenance: Provenance, paths: Mapping[int, str], implementation: str
) -> Iterator[None]:
    """Let every attention of `model` that goes through the interface report to `provenance`."""

    def attention(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **_options: Any,
    ) -> tuple[torch.Tensor, None]:
        del attention_mask
        batch, heads, length, _ = query.shape
        output = value.new_zeros((batch, length, heads, value.shape[-1]))
        marks = provenance.attend(
            provenance.outputs(query),
            provenance.outputs(key),
            provenance.outputs(value),
            paths.get(id(module)),
        )
        provenance.replace(output, marks)
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
