"""Python that makes a plan's adapter with PEFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lorascope.core.inventory import ModelInfo
from lorascope.core.plan import Plan
from lorascope.core.tasks import AUTO_CLASSES
from lorascope.report.plain_json import plain_json

_NO_ARGUMENTS = frozenset(
    {
        "peft_type",
        "peft_version",
        "auto_mapping",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
    }
)
"""Fields of `adapter_config.json` that PEFT fills in itself."""
_DEFAULTS: Mapping[str, Any] = {
    "bias": "none",
    "init_lora_weights": True,
    "megatron_core": "megatron.core",
}
"""Defaults of `peft.LoraConfig` that are neither None, False, 0 nor empty."""


def snippet(plan: Plan) -> str:
    """Return a script that loads the model, adds the plan's adapter and prints its size.

    Every text that comes from outside stands in the script as a Python literal.
    """
    arguments = "".join(
        f"    {name}={plain_json(value)!r},\n"
        for name, value in plan.adapter_config.items()
        if name not in _NO_ARGUMENTS and value and _DEFAULTS.get(name) != value
    )
    return (
        "from peft import LoraConfig, get_peft_model\n"
        f"{_load(plan.model)}"
        "config = LoraConfig(\n"
        f"{arguments}"
        ")\n"
        "model = get_peft_model(model, config)\n"
        "model.print_trainable_parameters()"
        f"  # trainable params: {plan.trainable_params:,}\n"
    )


def _load(model: ModelInfo) -> str:
    remote = model.is_remote_code or not model.cls.isidentifier()
    name = AUTO_CLASSES.get(model.task_type or "", "AutoModel") if remote else model.cls
    if model.is_default_config:
        make = f"{name}.from_config" if remote else name
        return (
            f"from transformers import AutoConfig, {name}\n\n"
            f"model = {make}(AutoConfig.for_model({model.model_type!r}))\n"
        )
    trusted = ["trust_remote_code=True"] if remote else []
    file = None if model.base_model else PurePath(model.reference)
    if file is not None and file.suffix == ".json":
        return _from_config_file(name, repr(model.reference), trusted)
    where = [repr(model.base_model or model.reference)]
    if file is not None and file.suffix == ".gguf":
        where = [repr(str(file.parent)), f"gguf_file={file.name!r}"]
    elif file is not None and file.suffix == ".safetensors":
        where = [repr(str(file.parent))]
    where += [f"revision={model.revision!r}"] if model.revision else []
    where += trusted
    return (
        f"from transformers import {name}\n\nmodel = {name}.from_pretrained({', '.join(where)})\n"
    )


def _from_config_file(name: str, file: str, trusted: Sequence[str]) -> str:
    """A config alone names no weights, so the model starts with random ones."""
    make = f"{name}.from_config" if trusted else name
    config = f"AutoConfig.from_pretrained({', '.join([file, *trusted])})"
    return (
        f"from transformers import AutoConfig, {name}\n\n"
        "# Random weights. For trained ones: from_pretrained with the directory that holds them.\n"
        f"model = {make}({', '.join([config, *trusted])})\n"
    )
