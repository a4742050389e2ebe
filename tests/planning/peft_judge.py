"""What PEFT itself does with a plan: the judge of the tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from torch import nn

from lorascope.core.plan import Plan
from lorascope.core.roles import Kind
from lorascope.matching.stored_tensors import Tensor
from lorascope.planning.file_size import safetensors_bytes

_HARMLESS = (
    # It applies the key all the same: the check looks at modules only, not at parameters.
    "ignore:The following (rank|alpha)_pattern keys did not match:RuntimeWarning",
    # PEFT mends a model that mixes Conv1D and Linear by itself.
    "ignore:fan_in_fan_out is set to:UserWarning",
    "ignore:Model (has|with) `tie_word_embeddings=True`:UserWarning",
    # Advice on speed.
    "ignore:lora with eva initialization used with low_cpu_mem_usage=False:UserWarning",
)


@dataclass(frozen=True)
class Injected:
    """What a PEFT model holds."""

    scales: Mapping[str, tuple[int, float]]
    """Rank and alpha by full name of the base module or parameter."""
    trainable: int
    model: Any


def inject(model: nn.Module, plan: Plan) -> Injected:
    """Let PEFT carry a plan out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for harmless in _HARMLESS:
            action, message, category = harmless.split(":")
            warnings.filterwarnings(action, message=message, category=_CATEGORIES[category])  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing.")
        injected = get_peft_model(model, plan.to_peft())
    return Injected(_scales(injected), injected.get_nb_trainable_parameters()[0], injected)


_CATEGORIES = {"RuntimeWarning": RuntimeWarning, "UserWarning": UserWarning}


def _scales(model: Any) -> dict[str, tuple[int, float]]:
    found = {}
    for path, module in model.base_model.model.named_modules():
        if not isinstance(module, LoraLayer):
            continue
        name = path.replace(".base_layer", "")
        if isinstance(module, ParamWrapper):
            name = f"{name}.{module.parameter_name}"
        found[name] = (module.r["default"], module.lora_alpha["default"])
    return found


def planned_scales(plan: Plan, inventory: Any) -> dict[str, tuple[int, float]]:
    """Rank and alpha by the name under which PEFT holds a target."""
    by_parameter = [
        name.rpartition(".")[0] for name in plan.adapter_config["target_parameters"] or ()
    ]
    found = {}
    for target in plan.targets:
        path = target.path
        kind = inventory.by_path[path].kind
        if kind is Kind.LINEAR and any(f".{path}".endswith(f".{name}") for name in by_parameter):
            path = f"{path}.weight"
        found[path] = (target.rank, target.alpha)
    return found


def saved_bytes(injected: Any, directory: Path) -> int:
    """Size of the `adapter_model.safetensors` that PEFT writes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        injected.save_pretrained(str(directory))
    return (directory / "adapter_model.safetensors").stat().st_size


def stated_bytes(injected: Any) -> int:
    """Size of the file for the tensors that PEFT would write, for a model without weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tensors = get_peft_model_state_dict(injected)
    types = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
    return safetensors_bytes(
        Tensor(name, tuple(tensor.shape), types[tensor.dtype]) for name, tensor in tensors.items()
    )
