"""Small adapters with random numbers as PEFT saves them, and what PEFT and engines make of them.

The rules of the engines are written anew here, from their sources, and share no code with what is
tested.
"""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

import lorascope
from lorascope.core.adaptation import Adaptation
from lorascope.core.inventory import Inventory

sys.path.insert(0, str(Path(__file__).parent.parent / "planning"))
import tiny_models

Deltas = Mapping[str, torch.Tensor]
PREFIX = "base_model.model."
OLDER_VLLM = "vllm up to 0.31"
"""It scales everything by `lora_alpha` and `r`."""
ROUNDED = 2.0**-22
"""Bound for one rounding to float32 of each number, and one of the product, relative to the
largest number of a matrix."""
HALF = {
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj", "v_proj", "gate_proj", "up_proj", "down_proj"],
    "rank_pattern": {"gate_proj": 4, "up_proj": 4, "down_proj": 4},
}
"""The well-known mixed ranks that TGI, LoRAX and older vLLM serve at half strength."""


@cache
def inventory(name: str) -> Inventory:
    """Of one of `tiny_models`, as the command line would read it."""
    return lorascope.inspect(tiny_models.on_meta(name), observe=False)


def train(name: str, directory: Path, *, dtype: torch.dtype | None = None, **config: Any) -> Path:
    """Save an adapter in which every number is random."""
    model = tiny_models.with_weights(name)
    return train_on(model, directory, dtype=dtype, **config)


def train_on(
    model: nn.Module, directory: Path, *, dtype: torch.dtype | None = None, **config: Any
) -> Path:
    """Save an adapter of a model in which every number is random."""
    with _without_warnings():
        adapted = get_peft_model(model, LoraConfig(**config))
    generator = torch.Generator().manual_seed(7)
    for _, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            numbers = torch.randn(parameter.shape, generator=generator) / 8
            parameter.data = numbers.to(dtype or parameter.dtype)
    with _without_warnings():
        adapted.save_pretrained(str(directory))
    return directory


def adapt(directory: Path, engine: str, name: str, **options: Any) -> tuple[Path, Adaptation]:
    """Rewrite an adapter of one of `tiny_models` into a new directory beside it."""
    served = directory.with_name(f"{directory.name}-for-{engine}")
    return served, lorascope.adapt(directory, engine, served, model=inventory(name), **options)


def peft_deltas(name: str, directory: Path) -> Deltas:
    """What PEFT adds to each weight of one of `tiny_models`."""
    return peft_deltas_on(tiny_models.with_weights(name), directory)


def peft_deltas_on(model: nn.Module, directory: Path) -> Deltas:
    """What PEFT adds to each weight of a model, by the weight's name; nothing where nothing is."""
    for parameter in model.parameters():
        parameter.data.zero_()  # so that the sum is the delta, to the last bit
    with _without_warnings():
        merged = PeftModel.from_pretrained(model, str(directory)).merge_and_unload()
    weights = dict(merged.named_parameters())
    return {name: each.data.clone() for name, each in weights.items() if each.any()}


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Leave out what PEFT says of keys for parameters, which it uses, and of `lora_bias`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The following rank_pattern keys")
        warnings.filterwarnings("ignore", message="The following alpha_pattern keys")
        warnings.filterwarnings("ignore", message=".*lora_bias=True. was passed")
        warnings.filterwarnings("ignore", message=r".*LoRA tensor\(s\) have invalid shape")
        yield


def config_of(directory: Path) -> dict[str, Any]:
    """The fields of an adapter."""
    fields: dict[str, Any] = json.loads((directory / "adapter_config.json").read_text())
    return fields


def write_config(directory: Path, **fields: Any) -> None:
    """Change fields of an adapter."""
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**config_of(directory), **fields}))


def tensors_of(directory: Path) -> dict[str, torch.Tensor]:
    """The tensors of an adapter."""
    return load_file(str(directory / "adapter_model.safetensors"))


def write_tensors(directory: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Replace the tensors of an adapter."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, str(directory / "adapter_model.safetensors"), {"format": "pt"})


def pairs_of(directory: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A and B of an adapter by the name before them, in double precision."""
    tensors = tensors_of(directory)
    ends = ((".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B"))
    return {
        name.removesuffix(a).removeprefix(PREFIX): (
            tensor.double(),
            tensors[name.removesuffix(a) + b].double(),
        )
        for name, tensor in tensors.items()
        for a, b in ends
        if name.endswith(a)
    }


def engine_deltas(engine: str, directory: Path) -> Deltas:
    """What an engine adds, by the name of the module, as its source says."""
    config, pairs = config_of(directory), pairs_of(directory)
    if engine in ("tgi", "lorax"):
        return _tgi_deltas(config, pairs)
    deltas = {}
    for name, (a, b) in pairs.items():
        if engine == "sglang" and name.rpartition(".")[2] in ("q_proj", "k_proj"):
            # srt/lora/lora.py, normalize_qkv_proj: weights[v_name] raises if it is not there.
            assert name[: -len("q_proj")] + "v_proj" in pairs
        deltas[name] = _scale(engine, config, a.shape[0], name) * (b @ a)
    return deltas


def _scale(engine: str, config: Mapping[str, Any], stored_rank: int, name: str) -> float:
    alpha, rank = config["lora_alpha"], config["r"]
    if engine in ("vllm", OLDER_VLLM):
        if engine == "vllm":  # 0.33.0, lora/peft_helper.py, get_rank_and_scaling
            rank = _by_pattern(config["rank_pattern"], name) or rank
            alpha = _by_pattern(config["alpha_pattern"], name) or alpha
        # before: PEFTHelper.__post_init__ alone
        return float(alpha / math.sqrt(rank) if config["use_rslora"] else alpha / rank)
    if engine == "sglang":  # srt/lora/lora.py, LoRAAdapter.__init__; srt/lora/lora_config.py
        for pattern, value in (("rank_pattern", rank), ("alpha_pattern", alpha)):
            assert all(each == value for each in config[pattern].values())
        assert isinstance(config["target_modules"], list)
        return float(alpha / rank)
    assert engine == "llama.cpp"  # src/llama-adapter.h, llama_adapter_lora_weight::get_scale
    return float(torch.tensor(alpha, dtype=torch.float32)) / stored_rank


def _by_pattern(pattern: Mapping[str, Any], name: str) -> Any:
    matching = (value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", name))
    return next(matching, None)


def _tgi_deltas(
    config: Mapping[str, Any], pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
) -> Deltas:
    """TGI's `prepare_weights` in adapters/lora.py, one kind of layer after the other.

    `pad_rank` gives at least 8 ranks, and more in steps of 16; `config.r` becomes what it gave.
    """
    types = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    layers = {name.split(".")[2] for name in pairs}
    alpha, rank = config["lora_alpha"], config["r"]
    deltas = {}
    for kind in types:
        named = {name: pair for name, pair in pairs.items() if name.endswith(f".{kind}")}
        if {name.split(".")[2] for name in named} != layers:
            continue  # missing in one layer: left out in all
        scale = alpha / math.sqrt(rank) if config["use_rslora"] else alpha / rank
        for name, (a, b) in named.items():
            deltas[name] = scale * (b @ a)
            rank = 8 if a.shape[0] <= 8 else -(-a.shape[0] // 16) * 16
    return deltas


def assert_same(found: Deltas, wanted: Deltas, bound: float = ROUNDED) -> None:
    """Compare deltas of weights; those that are zero may be missing."""
    named = {name.removesuffix(".weight"): delta for name, delta in found.items() if delta.any()}
    expected = {name.removesuffix(".weight"): delta for name, delta in wanted.items()}
    assert named.keys() == expected.keys()
    for name, delta in expected.items():
        largest = delta.abs().max()
        difference = (named[name].double() - delta.double()).abs().max()
        assert difference <= bound * largest, (name, float(difference / largest))
