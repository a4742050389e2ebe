"""The `adapter_config.json` of a plan, in PEFT's keys."""

from __future__ import annotations

from typing import Any

from lorascope.core.inventory import Inventory
from lorascope.core.roles import Kind
from lorascope.planning.presets import DROPOUT
from lorascope.planning.request import PlanRequest
from lorascope.planning.scales import ScaleFields
from lorascope.planning.targets import Planned, TargetFields

EVA_DEFAULTS = {
    "rho": 2.0,
    "tau": 0.99,
    "use_label_mask": True,
    "label_mask_value": -100,
    "whiten": False,
    "adjust_scaling_factors": True,
}
"""PEFT's own defaults, stated because PEFT warns where they are not. peft 0.21.2, `EvaConfig`."""


def adapter_config(
    inventory: Inventory,
    request: PlanRequest,
    targets: TargetFields,
    scales: ScaleFields,
    saved: tuple[str, ...],
    planned: tuple[Planned, ...],
) -> dict[str, Any]:
    """Return the configuration as PEFT reads it; only keys that PEFT 0.20 and later know."""
    by_parameter = any(each.is_parameter for each in planned)
    modules = [each.module for each in planned if not each.is_parameter]
    dropout = DROPOUT if request.dropout is None else request.dropout
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": inventory.model.task_type,
        "base_model_name_or_path": inventory.model.base_model,
        "revision": inventory.model.revision,
        "inference_mode": False,
        "r": scales.default.rank,
        "lora_alpha": scales.default.alpha,
        "lora_dropout": 0.0 if by_parameter else float(dropout),
        "bias": request.bias,
        "target_modules": _plain(targets.target_modules),
        "exclude_modules": None,
        "target_parameters": _plain(targets.target_parameters),
        "modules_to_save": list(saved) or None,
        "layers_to_transform": _plain(targets.layers_to_transform),
        "layers_pattern": targets.layers_pattern,
        "rank_pattern": dict(scales.rank_pattern),
        "alpha_pattern": dict(scales.alpha_pattern),
        "fan_in_fan_out": bool(modules) and all(m.kind is Kind.CONV1D for m in modules),
        "init_lora_weights": request.init,
        "use_rslora": request.rslora,
        "use_dora": request.dora,
        "lora_bias": False,
    }
    if request.init == "eva":
        config["eva_config"] = dict(EVA_DEFAULTS)
    return config


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
