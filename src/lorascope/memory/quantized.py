"""Quantize a weightless model as transformers does with bitsandbytes, without bitsandbytes."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from peft import prepare_model_for_kbit_training
from torch import nn
from transformers.modeling_utils import PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from lorascope.core.training import TrainingSetup
from lorascope.memory.bnb_layers import Int8Linear, NF4Linear

_LOADED = {"nf4": "is_loaded_in_4bit", "int8": "is_loaded_in_8bit"}

_LAYOUT = (
    "Quantized layers are counted by the layout of bitsandbytes: nf4 in blocks of 64 with double "
    "quantization, or int8 with one scale a row and no outlier columns."
)
_UPCAST = (
    "What is not quantized (embeddings, output layer, norms, stacked experts) is made float32 by "
    "PEFT's prepare_model_for_kbit_training, and so is what flows between the layers: without "
    "checkpointing that can take more than quantization saves. PEFT's guide and Axolotl call it, "
    "TRL's SFTTrainer does not (--no-kbit-upcast)."
)
_NO_UPCAST = (
    "What is not quantized keeps {dtype}, as TRL's SFTTrainer leaves it, which also makes the "
    "adapter bf16 (--adapter-dtype bf16); PEFT's prepare_model_for_kbit_training, which PEFT's "
    "guide and Axolotl call, would make it float32 (--kbit-upcast)."
)
_INT8_CHECKPOINTED = (
    "Checkpointing does not free the inputs of int8 layers: bitsandbytes holds each as an "
    "attribute of its autograd context, past the hooks of non-reentrant checkpointing, which "
    "transformers takes by default; gradient_checkpointing_kwargs={'use_reentrant': True} would "
    "free them."
)


def quantization_notes(setup: TrainingSetup) -> tuple[str, ...]:
    """Return what a prediction with quantized weights assumes.

    Sources: bitsandbytes 0.50.2, `autograd/_functions.py` (`MatMul8bitLt`, `MatMul8bitFp`); PEFT
    0.21.2, `utils/other.py`; TRL at f2cd5771, `trl/trainer/sft_trainer.py`; Axolotl,
    `loaders/model.py`, `_prepare_model_for_quantization`.
    """
    rest = _UPCAST if setup.kbit_upcast else _NO_UPCAST.format(dtype=setup.dtype)
    is_kept = setup.quantization == "int8" and setup.gradient_checkpointing
    return (_LAYOUT, rest, _INT8_CHECKPOINTED) if is_kept else (_LAYOUT, rest)


def quantize(model: PreTrainedModel, setup: TrainingSetup) -> tuple[str, ...]:
    """Replace linear layers of a model on the meta device by stand-ins of quantized ones.

    The same layers are replaced as by `transformers.integrations.bitsandbytes`: each `nn.Linear`
    and `Conv1D`, save the output embedding, the last module, tied weights and what the model's
    class keeps in float32. Stacked experts (3-D parameters) are no linear layers and stay.

    Call it before the adapter is injected and after the model has its data type: a later
    `model.to(dtype)` would cast the float32 scales. Then call `prepare`, and
    `lorascope.memory.bnb_lora.use_quantized_lora` on the `LoraConfig` before injecting it.

    Args:
        model: On the meta device; it is changed.
        setup: `quantization` (`nf4` or `int8`), `dtype` of the computation, and `device`.

    Returns:
        Paths of the replaced modules.
    """
    # transformers' own quantizers read this underscored attribute of the class.
    in_float32 = model._keep_in_fp32_modules  # noqa: SLF001
    kept = HfQuantizer.get_modules_to_not_convert(model, keep_in_fp32_modules=in_float32)
    paths = tuple(
        path
        for path, module in model.named_modules()
        if (type(module) is nn.Linear or isinstance(module, Conv1D))
        and should_convert_module(path, kept)
    )
    for path in paths:
        model.set_submodule(path, _stand_in(model.get_submodule(path), setup))
    setattr(model, _LOADED[setup.quantization], True)
    return paths


def prepare(model: PreTrainedModel, setup: TrainingSetup) -> None:
    """Make a quantized model ready for training, by PEFT's own function for it.

    It freezes the model, casts what is left in half precision to float32, and, with gradient
    checkpointing, turns that on and lets the inputs require gradients. Call it after `quantize`,
    before the adapter is injected.
    """
    with warnings.catch_warnings():
        # PEFT calls transformers by a name that is deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=setup.gradient_checkpointing
        )


def _stand_in(layer: Any, setup: TrainingSetup) -> nn.Module:
    if isinstance(layer, Conv1D):
        in_features, out_features = layer.weight.shape
    else:
        in_features, out_features = layer.in_features, layer.out_features
    bias = layer.bias
    stand_in: nn.Module
    if setup.quantization == "nf4":
        compute = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
        stand_in = NF4Linear(in_features, out_features, bias, compute[setup.dtype])
    else:
        stand_in = Int8Linear(in_features, out_features, bias, on_cpu=setup.device == "cpu")
    return stand_in.requires_grad_(False)
