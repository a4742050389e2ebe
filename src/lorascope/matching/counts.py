"""The tensors that PEFT's LoRA adds to one module or parameter, by name and shape."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from lorascope.core.inventory import Module, Parameter
from lorascope.core.roles import Kind
from lorascope.core.spec import LoraSpec


@dataclass(frozen=True, slots=True)
class AdapterTensor:
    """One trainable tensor of an adapter."""

    name: str
    """Name inside the LoRA layer, for the adapter name `default`: `lora_A.default.weight`."""
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def total(tensors: Iterable[AdapterTensor]) -> int:
    """Return the number of elements of all tensors."""
    return sum(tensor.count for tensor in tensors)


def module_tensors(module: Module, rank: int, spec: LoraSpec) -> tuple[AdapterTensor, ...]:
    """Return what LoRA adds to an adaptable module.

    Source: peft 0.21.2, `update_layer` of each class in `tuners/lora/layer.py`, and
    `tuners/lora/dora.py` for the magnitudes.

    Args:
        module: Of a kind that LoRA adapts, with features.
        rank: Its rank.
        spec: For `use_dora`, `lora_bias` and `init_lora_weights`.
    """
    inputs, outputs = module.in_features or 0, module.out_features or 0
    match module.kind:
        case Kind.EMBEDDING:
            return _embedding(inputs, outputs, rank, spec)
        case Kind.CONVOLUTION:
            return _convolution(module, rank, spec)
        case Kind.MULTIHEAD_ATTENTION:
            return (
                *_pair(inputs, outputs, rank, spec),
                *_pair(inputs, inputs, rank, spec, before="base_layer.out_proj."),
            )
        case _:
            rank = _stored_rank(inputs, outputs, rank, spec)
            magnitude = (_magnitude((outputs,)),) if spec.use_dora else ()
            return (*_pair(inputs, outputs, rank, spec), *magnitude)


def parameter_tensors(holder: Module, parameter: Parameter, rank: int) -> tuple[AdapterTensor, ...]:
    """Return what LoRA adds to a parameter that `target_parameters` names.

    Args:
        holder: The module that holds it.
        parameter: 2-D (out, in), or 3-D (experts, out, in), or (experts, in, out) if the holder
            is transposed.
        rank: Its rank; each expert has its own.
    """
    return stacked_tensors(*stacked_shape(holder, parameter), rank)


def stacked_tensors(
    experts: int, inputs: int, outputs: int, rank: int
) -> tuple[AdapterTensor, ...]:
    """Return what LoRA adds to a stack of experts; a single weight is a stack of one."""
    return (
        AdapterTensor("lora_A.default.weight", (rank * experts, inputs)),
        AdapterTensor("lora_B.default.weight", (outputs, rank * experts)),
    )


def stacked_shape(holder: Module, parameter: Parameter) -> tuple[int, int, int]:
    """Return (experts, in, out) of a 2-D or 3-D parameter.

    Source: peft 0.21.2, `ParamWrapper` in `tuners/lora/layer.py`.
    """
    if len(parameter.shape) == 2:
        outputs, inputs = parameter.shape
        return 1, inputs, outputs
    experts, first, second = parameter.shape
    return (experts, first, second) if holder.transposed else (experts, second, first)


def _pair(
    inputs: int, outputs: int, rank: int, spec: LoraSpec, before: str = ""
) -> tuple[AdapterTensor, ...]:
    pair = (
        AdapterTensor(f"{before}lora_A.default.weight", (rank, inputs)),
        AdapterTensor(f"{before}lora_B.default.weight", (outputs, rank)),
    )
    if not spec.lora_bias:
        return pair
    return (*pair, AdapterTensor(f"{before}lora_B.default.bias", (outputs,)))


def _embedding(entries: int, width: int, rank: int, spec: LoraSpec) -> tuple[AdapterTensor, ...]:
    pair = (
        AdapterTensor("lora_embedding_A.default", (rank, entries)),
        AdapterTensor("lora_embedding_B.default", (width, rank)),
    )
    return (*pair, _magnitude((width,))) if spec.use_dora else pair


def _convolution(module: Module, rank: int, spec: LoraSpec) -> tuple[AdapterTensor, ...]:
    inputs, outputs = module.in_features or 0, module.out_features or 0
    kernel = module.kernel or ()
    ones = (1,) * len(kernel)
    tensors = [
        AdapterTensor("lora_A.default.weight", (rank, inputs, *kernel)),
        AdapterTensor("lora_B.default.weight", (outputs, rank // module.groups, *ones)),
    ]
    if spec.lora_bias:
        tensors.append(AdapterTensor("lora_B.default.bias", (outputs,)))
    if spec.use_dora:
        tensors.append(_magnitude((1, outputs, *ones)))
    return tuple(tensors)


def _magnitude(shape: tuple[int, ...]) -> AdapterTensor:
    return AdapterTensor("lora_magnitude_vector.default.weight", shape)


def _stored_rank(inputs: int, outputs: int, rank: int, spec: LoraSpec) -> int:
    """PiSSA and OLoRA cut their factors from the weight, which has only so many directions."""
    init = spec.init_lora_weights
    if isinstance(init, str) and (init.startswith("pissa") or init.lower() == "olora"):
        return min(rank, inputs, outputs)
    return rank
