"""What is seen of attention alone, as it was first told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lorascope.core.observation import Call
from lorascope.observe.observation import observe

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
    """Return what `observe` sees of attention."""
    seen = observe(model)
    return Observation(
        roles={path: m.role for path, m in seen.modules.items() if m.role is not None},
        attentions=seen.attentions,
        dead=frozenset(p for p, m in seen.modules.items() if m.call is Call.READ_DIRECTLY),
        reason=seen.reason or (None if seen.attentions else "its forward pass runs no attention"),
    )
