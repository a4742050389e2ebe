"""The model as it is trained: on the meta device, with its adapter really injected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
import transformers
from peft import get_peft_model
from torch import nn

from lorascope.build.confined import quiet
from lorascope.memory.bnb_lora import use_quantized_lora
from lorascope.memory.failures import step_of
from lorascope.memory.quantized import prepare, quantize

if TYPE_CHECKING:
    from lorascope.core.plan import Plan
    from lorascope.core.training import TrainingSetup

DTYPES: Mapping[str, torch.dtype] = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
}
_INITS_WITHOUT_WEIGHTS = (True, False, "gaussian")


def training_copy(copy: nn.Module, plan: Plan, setup: TrainingSetup) -> nn.Module:
    """Make a copy of a model ready to be trained: typed, wrapped by PEFT, in training mode.

    Args:
        copy: On the meta device and shared with nobody; it is changed.
        plan: Whose adapter is injected.
        setup: Precision, quantization and checkpointing.

    Raises:
        MemoryPredictionError: PEFT refuses the plan, or the class cannot be checkpointed.
    """
    with quiet():
        _cast(copy, DTYPES[setup.dtype])
        _choose_implementations(copy)
        config = _config(plan)
        if setup.quantization != "none":
            _quantize(copy, config, setup)
        with step_of("PEFT's injection", "Check the plan with `lorascope match`."):
            wrapped: nn.Module = get_peft_model(
                copy,
                config,
                autocast_adapter_dtype=setup.adapter_dtype == "fp32",
            )
        _cast_adapter(wrapped, setup)
        if setup.gradient_checkpointing:
            with step_of("gradient checkpointing", "Predict without --gradient-checkpointing."):
                _checkpoint(wrapped)
    return wrapped.train()


def _config(plan: Plan) -> Any:
    config = plan.to_peft()
    if config.init_lora_weights not in _INITS_WITHOUT_WEIGHTS:
        # The others decompose the weights, which are not there; the shapes come out the same.
        config.init_lora_weights = True
    return config


def _cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Give parameters the type in which `from_pretrained(dtype=…)` loads them.

    Buffers keep theirs: rotary frequencies stay float32. Source: transformers 5.23.0,
    `PreTrainedModel._get_dtype_plan`.
    """
    kept = _kept_in_float32(model, dtype)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            is_kept = kept is not None and kept.search(name) is not None
            parameter.data = parameter.data.to(torch.float32 if is_kept else dtype)


def _kept_in_float32(model: nn.Module, dtype: torch.dtype) -> re.Pattern[str] | None:
    parts: set[str] = set()
    if dtype is not torch.float32:
        parts |= set(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    if dtype is torch.float16:
        parts |= set(getattr(model, "_keep_in_fp32_modules", None) or ())
    if not parts:
        return None
    # An entry may hold a glob (`layers.*.norm`), as checkpoint names do.
    entries = (re.escape(part).replace(r"\*", ".*") for part in sorted(parts))
    return re.compile(rf"(^|\.)({'|'.join(entries)})(\.|$)")


def _choose_implementations(model: nn.Module) -> None:
    """Take the attention and experts that transformers takes by default on a GPU."""
    for module in model.modules():
        if not isinstance(module, transformers.PreTrainedModel):
            continue
        config = module.config
        config.use_cache = False
        if hasattr(config, "_attn_implementation_internal"):
            config._attn_implementation_internal = module.get_correct_attn_implementation(None)  # noqa: SLF001 - of the copy
        if hasattr(config, "_experts_implementation_internal"):
            config._experts_implementation_internal = module.get_correct_experts_implementation(  # noqa: SLF001 - as above
                None
            )


def _cast_adapter(model: nn.Module, setup: TrainingSetup) -> None:
    """Give LoRA's matrices the type asked for where PEFT's own choice is another one.

    PEFT makes them float32 with `autocast_adapter_dtype`, and as the base layer's weight without;
    beside a quantized weight they would stay float32.
    """
    if setup.adapter_dtype == "fp32":
        return
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_" in name:
            parameter.data = parameter.data.to(DTYPES[setup.adapter_dtype])


def _quantize(model: Any, config: Any, setup: TrainingSetup) -> None:
    with step_of("the quantization", "Predict with --quantization none."):
        quantize(model, setup)
        if setup.kbit_upcast:
            prepare(model, setup)
        use_quantized_lora(config)


def _checkpoint(model: nn.Module) -> None:
    base: Any = model.get_base_model()  # type: ignore[operator]
    if hasattr(base, "activation_checkpointing_enable"):
        base.activation_checkpointing_enable()
    else:
        base.gradient_checkpointing_enable()
    base.enable_input_require_grads()
