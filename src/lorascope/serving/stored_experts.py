"""Routed experts that a trained adapter stores one by one, as transformers 4 named them.

PEFT rewrites such names to stacked parameters when it loads the adapter; an engine reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lorascope.core.inventory import Inventory
from lorascope.core.stored import StoredTensor
from lorascope.matching import Match
from lorascope.matching.expert_rewrite import NEW_NAMES

_SINGLE = re.compile(
    r"(?:base_model\.model\.)?(?P<block>.+)\.(?P<holder>\w+)\.experts\.\d+\.(?P<name>\w+)"
    r"\.lora_A(?:\.default)?\.weight"
)
_STACKED = re.compile(r"(?P<block>.+)\.\w+\.experts\.(?P<name>\w+)")


@dataclass(frozen=True, slots=True)
class StoredExperts:
    """How the linears of single experts are stored that PEFT makes one stacked parameter of."""

    holder: str
    """Full name of what holds them, for example `model.layers.0.block_sparse_moe`."""
    rank: int
    """Largest rank of them."""


def stored_experts(
    match: Match, inventory: Inventory, stored: Iterable[StoredTensor]
) -> Mapping[str, StoredExperts]:
    """Return what is stored expert by expert, by the path of the stacked parameter.

    Args:
        match: What PEFT makes of the adapter.
        inventory: Of the base model.
        stored: Tensors of the adapter.
    """
    new_names = NEW_NAMES.get(inventory.model.expert_rewrite or "", {})
    wanted = {
        (found["block"], found["name"]): target.path
        for target in match.targets
        if target.is_parameter and (found := _STACKED.fullmatch(target.path)) is not None
    }
    singles: dict[str, StoredExperts] = {}
    if not wanted:
        return singles
    for tensor in stored:
        found = _SINGLE.fullmatch(tensor.name)
        if found is None or not tensor.shape:
            continue
        path = wanted.get((found["block"], new_names.get(found["name"], "")))
        if path is not None:
            before = singles.get(path)
            rank = max(tensor.shape[0], 0 if before is None else before.rank)
            singles[path] = StoredExperts(f"{found['block']}.{found['holder']}", rank)
    return singles


def as_stored(match: Match, singles: Mapping[str, StoredExperts]) -> Match:
    """Return what PEFT makes of an adapter, with the ranks that single experts are stored with.

    PEFT joins gate and up to one parameter of twice their rank, at the same scale.
    """
    if not singles:
        return match
    targets = (
        replace(target, rank=found.rank, alpha=target.alpha * found.rank / max(target.rank, 1))
        if (found := singles.get(target.path)) is not None
        else target
        for target in match.targets
    )
    return replace(match, targets=tuple(targets))
