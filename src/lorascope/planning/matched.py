"""What a configuration hits, told as a plan: targets, counts and file size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.plan import Advice, Plan, Target
from lorascope.matching import Match
from lorascope.matching.stored_tensors import Adapted, adapter_tensors
from lorascope.planning.counts import covered_params
from lorascope.planning.file_size import safetensors_bytes


def plan_of_match(
    inventory: Inventory,
    preset: str,
    config: Mapping[str, Any],
    found: Match,
    advice: tuple[Advice, ...],
) -> Plan:
    """Return the plan that a configuration is; its targets stand in model order.

    Args:
        inventory: The model.
        preset: What the plan is called.
        config: The fields of `adapter_config.json`.
        found: What `config` hits.
        advice: What the plan says about itself.
    """
    position = {module.path: number for number, module in enumerate(inventory.modules)}
    hits = [(_module(inventory, each.path), each) for each in found.targets]
    hits.sort(key=lambda hit: position[hit[0].path])
    adapted = [Adapted(module, each.rank, each.is_parameter) for module, each in hits]
    saved = tuple(each.path for each in found.saved)
    return Plan(
        model=inventory.model,
        preset=preset,
        adapter_config=config,
        targets=tuple(
            Target(
                path=module.path,
                role=module.role,
                tower=module.tower,
                layer=module.layer,
                rank=each.rank,
                alpha=each.alpha,
                params=each.params,
            )
            for module, each in hits
        ),
        saved_modules=saved,
        trainable_params=found.trainable_params,
        adapter_bytes=safetensors_bytes(
            adapter_tensors(inventory, adapted, saved, config, found.peft_version)
        ),
        covered_params=covered_params(module for module, _ in hits),
        advice=advice,
    )


def _module(inventory: Inventory, path: str) -> Module:
    """The entry of a target: a module, an expert parameter, or the holder of a plain one."""
    modules = inventory.by_path
    return modules.get(path) or modules[path.rpartition(".")[0]]
