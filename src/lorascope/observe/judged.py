"""An observation completed by what no forward pass on this machine can show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.build.kinds import shape_of
from lorascope.build.walk import base_model_of, named_base_modules
from lorascope.core.observation import Call, Observation, Observed
from lorascope.core.roles import Kind
from lorascope.observe.affine import not_affine
from lorascope.observe.direct_reads import Read, direct_reads

if TYPE_CHECKING:
    from collections.abc import Collection

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
    kinds = {path: shape_of(module).kind for path, module in named_base_modules(base)}
    affine = {_bare(path, kinds): found for path, found in not_affine(base).items()}
    read = {_bare(path, kinds): how for path, how in direct_reads(base).items()}
    modules = {
        path: replace(
            seen,
            call=_call(seen.call, read.get(path)),
            affine=affine.get(path, seen.affine),
        )
        for path, seen in observation.modules.items()
    }
    against = read.keys() | {path for path, is_affine in affine.items() if not is_affine}
    # Nobody asks anything of a container: a norm may be read as its model likes.
    listed = {path for path, kind in kinds.items() if kind is not Kind.CONTAINER}
    for path in sorted((against & listed) - modules.keys()):
        call = _call(Call.NOT_REACHED, read.get(path))
        modules[path] = Observed(call, affine=affine.get(path))
    return replace(observation, modules=modules)


def _call(shown: Call, read: Read | None) -> Call:
    """Return what the pass and the source say together of how a module is used."""
    if read is None or shown is Call.READ_DIRECTLY:
        return shown
    if shown is Call.CALLED or read is Read.SOMETIMES:
        return Call.READ_ON_SOME_WAYS
    return Call.READ_DIRECTLY


def _bare(path: str, known: Collection[str]) -> str:
    """Return the path that a module has without PEFT's layers around it."""
    return path if path in known else path.replace(".base_layer", "")
