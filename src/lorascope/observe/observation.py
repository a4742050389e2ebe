"""What every adaptable module of a model does, seen in one forward pass."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.build.confined import alone
from lorascope.build.failing import FAILURES, first_line
from lorascope.build.info import expert_counts
from lorascope.build.walk import base_model_of, walk
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Kind, Role
from lorascope.observe.attempts import ATTEMPTS
from lorascope.observe.attention_roles import attention_roles
from lorascope.observe.attentions import attentions_of
from lorascope.observe.deadline import Deadline
from lorascope.observe.feed_forward_roles import feed_forward_roles
from lorascope.observe.feed_forwards import feed_forwards_of
from lorascope.observe.flow import Flow
from lorascope.observe.inputs import Inputs, NoInputsError, inputs_for
from lorascope.observe.inputs.fill import fill_in, left_open
from lorascope.observe.layers import layer_weights
from lorascope.observe.one_pass import run

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import Module


SECONDS = 60.0
"""Computing time that all ways of running a model are given together."""


@alone()
def observe(model: nn.Module) -> Observation:
    """Run `model` once on weightless tensors and return what each adaptable module does.

    The model itself is neither run nor changed: a copy is, first on meta tensors, then, where
    those do not do, on zeros. Never raises for a model that fails: `reason` says why.
    """
    base = base_model_of(model)
    modules = [m for m in walk(base, expert_counts(base)) if m.kind.adaptable and not m.alias_of]
    failures: dict[str, None] = {}
    furthest = Flow()
    given = Inputs()
    for flow, inputs in _passes(base):
        if flow.failure is None:
            return replace(_observation(modules, flow, inputs, None), notes=_notes(base, inputs))
        failures.setdefault(flow.failure)
        if len(flow.steps) > len(furthest.steps):
            furthest, given = flow, inputs
    seen = _observation(modules, furthest, given, "; ".join(failures))
    return replace(seen, notes=_notes(base, given))


def _notes(base: nn.Module, inputs: Inputs) -> tuple[str, ...]:
    """Say what the pass went without and what it took for granted."""
    filled = {**left_open(base), **inputs.filled}
    notes = [f"without {left_out}" for left_out in inputs.left_out]
    notes += [
        f"{name} taken as {value}, as the config states none" for name, value in filled.items()
    ]
    return tuple(notes)


def _passes(base: nn.Module) -> Iterator[tuple[Flow, Inputs]]:
    """Yield what each way of running `base` showed, and its inputs."""
    deadline = Deadline(SECONDS)
    for make, device, implementation in ATTEMPTS:
        try:
            inputs = inputs_for(make(base), device, deadline.left)
        except NoInputsError as error:
            yield Flow(failure=str(error)), Inputs()
            return
        except FAILURES as error:
            yield Flow(failure=first_line(error)), Inputs()
            continue
        # Gradients show what autograd keeps, but some forwards write where they must not.
        for gradients in (True, False):
            left = deadline.left
            if left <= 0:
                return
            twin = make(base)
            fill_in(twin, inputs.filled)
            weights = dict(layer_weights(twin))
            flow = run(twin, weights, inputs, implementation, gradients=gradients, seconds=left)
            yield flow, inputs


def _observation(
    modules: Collection[Module], flow: Flow, inputs: Inputs, reason: str | None
) -> Observation:
    if not flow.steps:
        return Observation(reason=reason)
    trace = attentions_of(flow)
    stacks = {m.path for m in modules if m.kind is Kind.EXPERT_PARAMETER}
    roles = feed_forward_roles(feed_forwards_of(flow), stacks)
    roles |= attention_roles(trace)
    return Observation(
        modules={m.path: _observed(m, flow, roles.get(m.path)) for m in modules},
        inputs=tuple(inputs),
        attentions=len(trace.attentions),
        is_partial=flow.failure is not None,
        reason=reason,
    )


def _observed(module: Module, flow: Flow, role: Role | None) -> Observed:
    if module.kind is Kind.MULTIHEAD_ATTENTION and role is not None:
        role = Role.ATTENTION_QKVO
    call = _call(module, flow)
    if call is not Call.CALLED:
        return Observed(call, role)
    read = flow.inputs.get(module.path)
    if read is None:
        return Observed(call, role)
    return Observed(call, role, input_group=read.group, input_kept=read.kept)


def _call(module: Module, flow: Flow) -> Call:
    was_read = module.path in flow.read
    if module.path in flow.called or (was_read and module.kind is Kind.EXPERT_PARAMETER):
        return Call.CALLED
    # A forward that was not reached when the pass was cut may have run after it.
    return Call.READ_DIRECTLY if was_read and flow.failure is None else Call.NOT_REACHED
