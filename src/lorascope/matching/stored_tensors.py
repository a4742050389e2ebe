"""The tensors that PEFT writes into `adapter_model.safetensors`: names, shapes and types."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec
from lorascope.matching.counts import module_tensors, stacked_tensors
from lorascope.matching.saved_biases import saved_biases
from lorascope.matching.tying import EMBEDDING_NAMES
from lorascope.matching.versions import NEWEST

_PREFIX = "base_model.model."
_MAGNITUDE = "lora_magnitude_vector.default.weight"
_SAVED_MAGNITUDE = "lora_magnitude_vector"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a safetensors file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As safetensors spells it: `F32`, `BF16`, `F16`, `F64`."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """One module under an adapter."""

    module: Module
    rank: int
    is_parameter: bool


def adapter_tensors(
    inventory: Inventory,
    adapted: Sequence[Adapted],
    saved: Sequence[str],
    config: Mapping[str, Any],
    peft_version: str = NEWEST,
) -> Iterator[Tensor]:
    """All tensors that `save_pretrained` writes.

    LoRA tensors are float32 on a base of lower precision too (`autocast_adapter_dtype`). Copies
    of saved modules, biases and embeddings keep the base's type.

    Source: peft 0.21.2, `utils/save_and_load.py`, `get_peft_model_state_dict`.
    """
    for _, tensor in lora_tensors(inventory, adapted, config):
        yield tensor
    spec = LoraSpec.from_dict(config)
    base = base_dtype(inventory.model.dtype)
    for path in saved:
        yield from _copied(inventory, path, base)
    wrappers = _wrappers(adapted)
    for name, shape in saved_biases(inventory, wrappers, saved, spec.bias, peft_version):
        yield Tensor(f"{_PREFIX}{name}", shape, base)
    # PEFT asks a list for these exact names, and a string not at all.
    if isinstance(spec.target_modules, tuple) and EMBEDDING_NAMES & set(spec.target_modules):
        yield from _embeddings(inventory, wrappers, base)


def lora_tensors(
    inventory: Inventory, adapted: Sequence[Adapted], config: Mapping[str, Any]
) -> Iterator[tuple[Adapted, Tensor]]:
    """LoRA's own tensors of `adapter_tensors`, each with the module that it adapts."""
    spec = LoraSpec.from_dict(config)
    holders = _nested(inventory, adapted)
    for each in adapted:
        holder = holders.get(each.module.path, f"{_PREFIX}{each.module.path}")
        for tensor in _lora_tensors(each, holder, spec):
            yield each, tensor


def base_dtype(dtype: str | None) -> str:
    """Type of the base model's weights in safetensors' spelling; float32 if nothing is stated."""
    known = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "float64": "F64"}
    return known.get((dtype or "float32").removeprefix("torch."), "F32")


def _nested(inventory: Inventory, adapted: Sequence[Adapted]) -> Mapping[str, str]:
    """Tensor name prefixes of expert parameters by path.

    PEFT wraps the parameters of one module one around the other in the order in which the module
    holds them; all but the last lie under a `base_layer`.
    """
    by_holder: dict[str, list[Module]] = defaultdict(list)
    for each in adapted:
        if each.module.kind is Kind.EXPERT_PARAMETER:
            by_holder[each.module.path.rpartition(".")[0]].append(each.module)
    prefixes: dict[str, str] = {}
    for holder, parameters in by_holder.items():
        order = [parameter.name for parameter in inventory.by_path[holder].parameters]
        parameters.sort(key=lambda parameter: order.index(parameter.name), reverse=True)
        for depth, parameter in enumerate(parameters):
            prefixes[parameter.path] = f"{_PREFIX}{holder}{'.base_layer' * depth}"
    return prefixes


def _lora_tensors(each: Adapted, holder: str, spec: LoraSpec) -> Iterator[Tensor]:
    """LoRA's own tensors, in whose names the file leaves the adapter's out."""
    module = each.module
    if each.is_parameter:
        inputs, outputs = module.in_features or 0, module.out_features or 0
        tensors = stacked_tensors(module.experts or 1, inputs, outputs, each.rank)
    else:
        tensors = module_tensors(module, each.rank, spec)
    for tensor in tensors:
        name = tensor.name.replace(_MAGNITUDE, _SAVED_MAGNITUDE).replace(".default", "")
        yield Tensor(f"{holder}.{name}", tensor.shape, "F32")


def _copied(inventory: Inventory, path: str, dtype: str) -> Iterator[Tensor]:
    for module in _within(inventory, path):
        for parameter in module.parameters:
            yield Tensor(f"{_PREFIX}{module.path}.{parameter.name}", parameter.shape, dtype)


def _within(inventory: Inventory, path: str) -> Iterator[Module]:
    inside = f"{path}."
    return (m for m in inventory.modules if m.path == path or m.path.startswith(inside))


def _wrappers(adapted: Sequence[Adapted]) -> Mapping[str, int]:
    """How many LoRA layers PEFT puts around a module, by path."""
    holders = Counter(
        each.module.path.rpartition(".")[0]
        if each.module.kind is Kind.EXPERT_PARAMETER
        else each.module.path
        for each in adapted
    )
    for each in adapted:
        if each.module.kind is Kind.MULTIHEAD_ATTENTION:
            holders[f"{each.module.path}.out_proj"] = 1
    return holders


def _embeddings(inventory: Inventory, wrapped: Mapping[str, int], dtype: str) -> Iterator[Tensor]:
    for path in (inventory.model.input_embedding, inventory.model.output_embedding):
        if path is None or path not in wrapped:
            continue
        for parameter in inventory.by_path[path].parameters:
            name = f"{_PREFIX}{path}.base_layer.{parameter.name}"
            yield Tensor(name, parameter.shape, dtype)
