"""What a module is to LoRA, asked of its class: kind and shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from transformers.pytorch_utils import Conv1D

from lorascope.core.roles import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

    from lorascope.core.inventory import Parameter

QUANTIZED_LINEAR_CLASSES = frozenset(
    {
        "BaseQuantLinear",
        "EetqLinear",
        "HQQLinear",
        "PatchedLinear",
        "QuantLinear",
        "QuantizedLinear",
        "WQLinear_GEMM",
    }
)
"""Linear classes that are no `nn.Linear` but that PEFT dispatches on, with their subclasses.

Source: peft 0.21.2, `tuners/lora/{aqlm,awq,eetq,gptq,hqq,inc}.py`. bitsandbytes' classes and
torchao's tensors need no row: their layers are subclasses of `nn.Linear`. GPT-QModel's classes, for
GPTQ and AWQ, are all subclasses of its `BaseQuantLinear`.
"""

_LINEAR_LIKE_DIMENSIONS = 2


@dataclass(frozen=True, slots=True)
class ModuleShape:
    """Kind and features of one module. Features are None for a container."""

    kind: Kind
    in_features: int | None = None
    out_features: int | None = None
    kernel: tuple[int, ...] | None = None
    groups: int = 1


def shape_of(module: nn.Module) -> ModuleShape:
    """Return kind and features of `module`, by the classes that PEFT's LoRA dispatches on.

    Source: peft 0.21.2, `dispatch_default` in `tuners/lora/layer.py` and `_get_in_out_features`
    in `tuners/tuners_utils.py`.
    """
    match module:
        case nn.Embedding():
            return ModuleShape(Kind.EMBEDDING, module.num_embeddings, module.embedding_dim)
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            return ModuleShape(
                Kind.CONVOLUTION,
                module.in_channels,
                module.out_channels,
                tuple(int(size) for size in module.kernel_size),
                module.groups,
            )
        case nn.MultiheadAttention():
            same_width = module._qkv_same_embed_dim  # noqa: SLF001 - as PEFT asks it
            kind = Kind.MULTIHEAD_ATTENTION if same_width else Kind.NOT_ADAPTABLE
            return ModuleShape(kind, module.embed_dim, 3 * module.embed_dim)
        case nn.Linear():
            return ModuleShape(Kind.LINEAR, module.in_features, module.out_features)
        case Conv1D():
            inputs, outputs = module.weight.shape
            return ModuleShape(Kind.CONV1D, inputs, outputs)
        case _:
            return _other_shape(module)


def _other_shape(module: nn.Module) -> ModuleShape:
    inputs, outputs = _stated_features(module)
    classes = {cls.__name__ for cls in type(module).__mro__}
    if inputs is not None and not QUANTIZED_LINEAR_CLASSES.isdisjoint(classes):
        return ModuleShape(Kind.LINEAR, inputs, outputs)
    weight = module._parameters.get("weight")  # noqa: SLF001 - no search in parent classes
    if weight is not None and weight.dim() == _LINEAR_LIKE_DIMENSIONS:
        return ModuleShape(Kind.NOT_ADAPTABLE, int(weight.shape[1]), int(weight.shape[0]))
    looks_linear = inputs is not None and next(module.children(), None) is None
    if looks_linear or _is_convolution_like(module) or isinstance(module, nn.EmbeddingBag):
        return ModuleShape(Kind.NOT_ADAPTABLE, inputs, outputs)
    if type(module).__name__.endswith("Linear"):
        return ModuleShape(Kind.NOT_ADAPTABLE, inputs, outputs)
    return ModuleShape(Kind.CONTAINER)


def _is_convolution_like(module: nn.Module) -> bool:
    return isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d))


def _stated_features(module: nn.Module) -> tuple[int | None, int | None]:
    for names in (("in_features", "out_features"), ("infeatures", "outfeatures")):
        values = tuple(getattr(module, name, None) for name in names)
        if all(isinstance(value, int) for value in values):
            return values[0], values[1]
    return None, None


def is_expert_parameter(
    module: nn.Module, path: str, parameter: Parameter, expert_counts: Collection[int]
) -> bool:
    """Tell a stack of experts from other 3-D parameters (position tables, probes, kernels).

    A 3-D parameter counts as experts if its first size is a number of experts that the config or
    the module states, or if its module is named so.
    """
    if len(parameter.shape) != 3 or min(parameter.shape) < 1:
        return False
    stated = getattr(module, "num_experts", None)
    named = "expert" in type(module).__name__.lower() or "expert" in path.rpartition(".")[2].lower()
    return named or parameter.shape[0] in expert_counts or parameter.shape[0] == stated
