"""Really quantize a model with random weights, by bitsandbytes itself."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from peft import prepare_model_for_kbit_training
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from lorascope.core.training import TrainingSetup


def is_installed() -> bool:
    """Return whether bitsandbytes can be imported."""
    return importlib.util.find_spec("bitsandbytes") is not None


def quantize_really(model: Any, setup: TrainingSetup) -> None:
    """Do to a loaded model what `from_pretrained` with the QLoRA recipe does while loading it.

    transformers replaces the layers itself (`replace_with_bnb_linear`); their weights are
    quantized here one by one, since there is no checkpoint to load.
    """
    from transformers.integrations import replace_with_bnb_linear

    kept = HfQuantizer.get_modules_to_not_convert(
        model,
        keep_in_fp32_modules=model._keep_in_fp32_modules,  # noqa: SLF001 - as transformers
    )
    replaced = {
        path: module
        for path, module in model.named_modules()
        if (type(module) is nn.Linear or isinstance(module, Conv1D))
        and should_convert_module(path, kept)
    }
    replace_with_bnb_linear(model, kept, _config(setup))
    for path, old in replaced.items():
        _fill(model.get_submodule(path), old)
    setattr(
        model, "is_loaded_in_4bit" if setup.quantization == "nf4" else "is_loaded_in_8bit", True
    )
    if setup.kbit_upcast:
        prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=setup.gradient_checkpointing
        )


def _config(setup: TrainingSetup) -> BitsAndBytesConfig:
    if setup.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype={"bf16": torch.bfloat16, "fp16": torch.float16}.get(
            setup.dtype, torch.float32
        ),
    )


def _fill(layer: Any, old: Any) -> None:
    """Quantize the weight of `old` into `layer`, where `old` lies."""
    weight = old.weight.data.T.contiguous() if isinstance(old, Conv1D) else old.weight.data
    device = weight.device
    made = type(layer.weight)
    arguments = {
        key: value for key, value in vars(layer.weight).items() if key not in ("CB", "SCB")
    }
    # Int8Params quantizes on its way from the CPU; Params4bit wherever it is sent.
    source = weight.cpu() if hasattr(layer, "state") else weight
    layer.weight = made(source, requires_grad=False, **arguments).to(device)
    layer.bias = old.bias
    old.weight = None
