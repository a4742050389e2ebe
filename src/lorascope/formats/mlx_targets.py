"""Which modules mlx-lm adapts, in the names of Hugging Face's classes.

Source: mlx-lm 0.32.2, `linear_to_lora_layers` in `mlx_lm/tuner/utils.py`, `SwitchGLU` in
`mlx_lm/models/switch_layers.py`, and the models that hold one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import EXPERTS, PERCEPTION, Kind, Role

_TAKEN = frozenset({Kind.LINEAR, Kind.CONV1D, Kind.EMBEDDING})
"""What mlx-lm has a LoRA class for. GPT-2's Conv1D is a plain linear there."""
_ROUTED = re.compile(r"(?:.*\.)?(?:switch_mlp|experts)\.(gate_proj|up_proj|down_proj)")
"""Routed experts: mlx-lm keeps gate and up apart where transformers fuses them."""
STACKED: Mapping[Role, frozenset[str]] = {
    Role.MOE_EXPERTS_GATE_UP: frozenset({"gate_proj", "up_proj"}),
    Role.MOE_EXPERTS_GATE: frozenset({"gate_proj"}),
    Role.MOE_EXPERTS_UP: frozenset({"up_proj"}),
    Role.MOE_EXPERTS_DOWN: frozenset({"down_proj"}),
}


def mlx_targets(
    keys: Sequence[str] | None, num_layers: int, inventory: Inventory, where: str
) -> tuple[list[str], list[str]]:
    """Return the full names of the modules and of the expert parameters that are adapted.

    Args:
        keys: Exact paths inside of a block, or in the whole model; None for all that mlx-lm takes
            inside of its blocks.
        num_layers: The last so many blocks; 0 or less for all.
        inventory: Of the bare model.
        where: What messages call the recipe.

    Raises:
        SpecificationError: The model has fewer blocks.
    """
    blocks = blocks_of(inventory)
    if num_layers > len(blocks):
        raise SpecificationError(
            f"{where}: num_layers is {num_layers}; expected at most {len(blocks)}, which is how "
            "many this model has, or -1 for all.",
        )
    chosen = blocks[-num_layers:] if num_layers > 0 else blocks
    wanted = None if keys is None else frozenset(keys)
    modules: dict[str, None] = {}
    parameters: dict[str, None] = {}
    by_block = _by_block(inventory, blocks)
    for block in chosen:
        for module in by_block[block]:
            inside = module.path[len(block) + 1 :]
            if module.kind is Kind.EXPERT_PARAMETER:
                if _is_routed(module, wanted):
                    parameters[module.path] = None
            elif _is_taken(module) and (wanted is None or inside in wanted):
                modules[module.path] = None
    for module in inventory.adaptable:
        if wanted is not None and module.path in wanted and _is_taken(module):
            modules[module.path] = None
    return list(modules), list(parameters)


def _is_taken(module: Module) -> bool:
    return module.kind in _TAKEN and module.role not in EXPERTS


def _is_routed(module: Module, wanted: frozenset[str] | None) -> bool:
    """Whether all of mlx-lm's layers that one expert parameter stands for are adapted."""
    parts = STACKED.get(module.role)
    if parts is None:
        return False
    if wanted is None:
        return True
    named = {match[1] for key in wanted if (match := _ROUTED.fullmatch(key))}
    return parts <= named


def blocks_of(inventory: Inventory) -> list[str]:
    """Return the paths of the model's blocks, first to last; a perception tower's are none."""
    found: dict[str, int] = {}
    for module in inventory.modules:
        if module.layer is None or module.tower in PERCEPTION:
            continue
        if block := block_of(module):
            found.setdefault(block, module.layer)
    return sorted(found, key=lambda block: found[block])


def block_of(module: Module) -> str | None:
    """Return the path of the block that a module is in, or is."""
    parts = module.path.split(".")
    number = str(module.layer)
    if number not in parts:
        return None
    return ".".join(parts[: parts.index(number) + 1])


def _by_block(inventory: Inventory, blocks: Iterable[str]) -> dict[str, list[Module]]:
    found: dict[str, list[Module]] = {block: [] for block in blocks}
    for module in inventory.adaptable:
        block = block_of(module) if module.layer is not None else None
        if block in found:
            found[block].append(module)
    return found
