"""An observation completed by what no forward pass on this machine can show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.build.kinds import shape_of
from lorascope.build.walk import base_model_of
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Kind
from lorascope.observe.affine import not_affine
from lorascope.observe.direct_reads import read_directly

if TYPE_CHECKING:
    from torch import nn


def judged(model: nn.Module, observation: Observation) -> Observation:
    """Add which modules are affine, and which are read past their forward on ways not taken.

    Such ways are those of fused kernels, which run on a GPU only. A module of which the pass
    showed nothing is added if there is something to say against it.

    Args:
        model: The model that was observed, or its PEFT wrapper.
        observation: What the pass showed.
    """
    base = base_model_of(model)
    affine = not_affine(base)
    read = read_directly(base)
    modules = {
        path: replace(
            seen,
            call=Call.READ_DIRECTLY if path in read else seen.call,
            affine=affine.get(path, seen.affine),
        )
        for path, seen in observation.modules.items()
    }
    against = read | {path for path, is_affine in affine.items() if not is_affine}
    listed = {path for path, each in base.named_modules() if _is_listed(each)}
    for path in (against & listed) - modules.keys():
        call = Call.READ_DIRECTLY if path in read else Call.NOT_REACHED
        modules[path] = Observed(call, affine=affine.get(path))
    return replace(observation, modules=modules)


def _is_listed(module: nn.Module) -> bool:
    """Whether an inventory asks anything of it: a norm may be read directly as it likes."""
    return shape_of(module).kind is not Kind.CONTAINER
