"""What the memory benchmarks measure: a model, a plan, and how the step is run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import transformers
from accelerate.utils import convert_outputs_to_fp32
from peft import get_peft_model
from torch import nn

import lorascope
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.memory.mixed_precision import autocast_dtype
from memory_bnb import quantize_really

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Shape:
    """A model by its type and sizes; the weights are random."""

    model_type: str
    sizes: Mapping[str, Any]
    auto_class: str = "AutoModelForCausalLM"

    def config(self) -> Any:
        """Return the configuration."""
        return transformers.AutoConfig.for_model(self.model_type, **self.sizes)

    def build(self, device: str, dtype: torch.dtype) -> Any:
        """Return the model with random weights, as `from_pretrained(dtype=…)` would load it."""
        auto = getattr(transformers, self.auto_class)
        with torch.device(device):
            return auto.from_config(self.config(), dtype=dtype)


@dataclass(frozen=True)
class Case:
    """One training step that is both run and predicted."""

    name: str
    shape: Shape
    setup: TrainingSetup
    preset: str = "qv"
    dropout: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of `lorascope.plan`."""

    def meta_model(self) -> Any:
        """Return the model on the meta device."""
        return self.shape.build("meta", DTYPES[self.setup.dtype])

    def plan(self, meta_model: nn.Module) -> Plan:
        """Return the plan for it."""
        inventory = lorascope.inspect(meta_model, observe=False)
        return lorascope.plan(inventory, self.preset, dropout=self.dropout, **self.options)

    def described(self) -> dict[str, Any]:
        """Return what the table says of it."""
        return {
            "name": self.name,
            "model": self.shape.model_type,
            "preset": self.preset,
            "dropout": self.dropout,
            **asdict(self.setup),
        }


def injected(case: Case, device: str, plan: Plan) -> Any:
    """Return the real model with PEFT's adapter, in training mode, on `device`."""
    model = case.shape.build(device, DTYPES[case.setup.dtype])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.setup.quantization != "none":
            quantize_really(model, case.setup)
        wrapped = get_peft_model(
            model, plan.to_peft(), autocast_adapter_dtype=case.setup.adapter_dtype == "fp32"
        )
        if case.setup.gradient_checkpointing:
            model.gradient_checkpointing_enable()
            model.enable_input_require_grads()
    if case.setup.autocast:
        # As accelerate's Accelerator.prepare_model does.
        mixed = torch.autocast(device, autocast_dtype(case.setup))(wrapped.forward)
        wrapped.forward = convert_outputs_to_fp32(mixed)
    return wrapped.train()


def batch_of(case: Case, device: str) -> dict[str, Any]:
    """Return random tokens, none of them padding, and as labels the same."""
    generator = torch.Generator().manual_seed(0)
    vocabulary = case.shape.config().get_text_config().vocab_size
    shape = (case.setup.batch_size, case.setup.seq_len)
    tokens = torch.randint(4, vocabulary, shape, generator=generator).to(device)
    return {"input_ids": tokens, "labels": tokens.clone(), "use_cache": False}


def train_step(model: Any, batch: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> None:
    """Run one step; of the outputs only the loss is kept, as transformers' Trainer does."""
    loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
