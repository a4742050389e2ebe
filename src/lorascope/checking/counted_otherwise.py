"""What a tool counts otherwise than lorascope, which counts in PEFT's form of the model."""

from __future__ import annotations

from lorascope.checking.subject import Subject
from lorascope.core.recipe import Tool
from lorascope.core.roles import EXPERTS, Kind

_EXPERT_PARTS = frozenset({"switch_mlp", "experts"})
_ROUTERS = frozenset({"gate", "router"})
_FUSED = (
    "mlx-lm keeps gate and up of the routed experts apart and makes routers linear layers that it "
    "adapts too; the counts here are those of PEFT's fused form, without routers, and may be lower."
)
"""Source: mlx-lm 0.32.2, `SwitchGLU` in `mlx_lm/models/switch_layers.py`, `models/qwen3_moe.py`."""


def count_notes(subject: Subject) -> tuple[str, ...]:
    """Return what the reader must know of the counts; nothing where the tool counts the same."""
    if subject.recipe.tool is not Tool.MLX_LM or subject.match is None:
        return ()
    stacked = any(
        module.kind is Kind.EXPERT_PARAMETER and module.role in EXPERTS
        for module in subject.model.modules
    )
    return (_FUSED,) if stacked and _reaches_mixture(subject) else ()


def _reaches_mixture(subject: Subject) -> bool:
    keys = subject.asked.target_modules
    if keys is None:
        return True
    listed = (keys,) if isinstance(keys, str) else keys
    parts = [key.split(".") for key in listed]
    return any(not _EXPERT_PARTS.isdisjoint(each) or each[-1] in _ROUTERS for each in parts)
