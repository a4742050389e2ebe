"""See which layers make query, key and value, and which one reads the attention's output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from lorascope.observe.attempts import (
    ATTEMPTS,
    IMPLEMENTATION,
    configs_of,
    experts_implementation,
    quiet,
)
from lorascope.observe.conclude import roles_of
from lorascope.observe.inputs import NoInputsError, inputs_for
from lorascope.observe.provenance import OutOfTimeError, Provenance, Trace, linear_weights

if TYPE_CHECKING:
    from lorascope.core.roles import Role

SECONDS = 60.0
"""Time that one forward pass is given."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one forward pass showed of a model's attention."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    """Path of a module → role seen."""
    attentions: int = 0
    """How many attentions ran."""
    dead: frozenset[str] = frozenset()
    """Modules whose weight was read although their own forward never ran."""
    reason: str | None = None
    """Why nothing could be seen; None if something was."""


def observe_attention(model: nn.Module) -> Observation:
    """Run `model` once on weightless tensors and return what its attention layers do.

    The model itself is neither run nor changed: a copy is, first on meta tensors, then, where
    those do not do, on zeros.
    """
    failures: list[str] = []
    for make, device, implementation in ATTEMPTS:
        try:
            twin = make(model)
            trace, called = _run(twin, inputs_for(twin, device), implementation)
        except NoInputsError as error:
            return Observation(reason=str(error))
        except Exception as error:
            failures.append(_brief(error))
            continue
        return Observation(
            roles=roles_of(trace),
            attentions=len(trace.attentions),
            dead=frozenset(trace.order) - called - _not_modules(twin),
            reason=None if trace.attentions else "its forward pass runs no attention",
        )
    return Observation(reason="; ".join(dict.fromkeys(failures)))


def _not_modules(model: nn.Module) -> frozenset[str]:
    paths = {path for path, _ in model.named_modules()}
    return frozenset(path for path, _ in linear_weights(model) if path not in paths)


def _brief(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:120] if lines else ''}"


def _run(
    model: nn.Module, inputs: Mapping[str, Any], implementation: str
) -> tuple[Trace, frozenset[str]]:
    provenance = Provenance(dict(linear_weights(model)), SECONDS)
    called: set[str] = set()
    paths = {id(module): path for path, module in model.named_modules()}
    with (
        quiet(),
        torch.no_grad(),
        _calls_noted(model, provenance, called),
        _watching(model, provenance, paths, implementation),
        provenance,
        contextlib.suppress(OutOfTimeError),
    ):
        model(**inputs)
    return provenance.trace, frozenset(called)


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
