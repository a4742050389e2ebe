"""What every adaptable module of a model does, seen in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.build.info import expert_counts
from lorascope.build.walk import base_model_of, walk
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Kind
from lorascope.observe.attempts import ATTEMPTS
from lorascope.observe.conclude import roles_of
from lorascope.observe.inputs import NoInputsError, inputs_for
from lorascope.observe.one_pass import Pass, run

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import Module


def observe(model: nn.Module) -> Observation:
    """Run `model` once on weightless tensors and return what each adaptable module does.

    The model itself is neither run nor changed: a copy is, first on meta tensors, then, where
    those do not do, on zeros. Never raises for a model that fails: `reason` says why.
    """
    base = base_model_of(model)
    modules = [m for m in walk(base, expert_counts(base)) if m.kind.adaptable and not m.alias_of]
    failures: list[str] = []
    for make, device, implementation in ATTEMPTS:
        try:
            twin = make(base)
            inputs = inputs_for(twin, device)
            seen = run(twin, inputs, implementation)
        except NoInputsError as error:
            return Observation(reason=str(error))
        except Exception as error:
            failures.append(_brief(error))
            continue
        roles = roles_of(seen.trace)
        return Observation(
            modules={
                m.path: Observed(call=_call(m, seen), role=roles.get(m.path)) for m in modules
            },
            inputs=tuple(inputs),
            attentions=len(seen.trace.attentions),
            is_partial=seen.out_of_time,
            reason="its forward pass took too long" if seen.out_of_time else None,
        )
    return Observation(reason="; ".join(dict.fromkeys(failures)))


def _call(module: Module, seen: Pass) -> Call:
    was_read = module.path in seen.trace.order
    if module.path in seen.called or (was_read and module.kind is Kind.EXPERT_PARAMETER):
        return Call.CALLED
    return Call.READ_DIRECTLY if was_read else Call.NOT_REACHED


def _brief(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:120] if lines else ''}"
