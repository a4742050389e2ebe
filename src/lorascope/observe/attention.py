"""See which layers make query, key and value, and which one reads the attention's output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lorascope.observe.attempts import ATTEMPTS
from lorascope.observe.conclude import roles_of
from lorascope.observe.inputs import NoInputsError, inputs_for
from lorascope.observe.one_pass import run
from lorascope.observe.provenance import linear_weights

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.roles import Role


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
            seen = run(twin, inputs_for(twin, device), implementation)
        except NoInputsError as error:
            return Observation(reason=str(error))
        except Exception as error:
            failures.append(_brief(error))
            continue
        return Observation(
            roles=roles_of(seen.trace),
            attentions=len(seen.trace.attentions),
            dead=frozenset(seen.trace.order) - seen.called - _not_modules(twin),
            reason=None if seen.trace.attentions else "its forward pass runs no attention",
        )
    return Observation(reason="; ".join(dict.fromkeys(failures)))


def _not_modules(model: nn.Module) -> frozenset[str]:
    paths = {path for path, _ in model.named_modules()}
    return frozenset(path for path, _ in linear_weights(model) if path not in paths)


def _brief(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:120] if lines else ''}"
