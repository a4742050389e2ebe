"""Infer what a module is to LoRA from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lorascope.core.roles import Kind
from lorascope.core.stored import StoredTensor
from lorascope.source.tensor_tree import HeldTensor

_EMBEDDING = re.compile(r"embed_tokens|embed_in|wte|wpe|shared|(.*_)?(embd|embeddings?|embed)")
"""Last part of the path of a module whose 2-D weight is a table, not a projection."""
_NOT_EMBEDDING = re.compile(r"(.*_)?(unembed|proj|out)(_.*)?")
_TRANSPOSED = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})
_CONV1D_TYPES = frozenset({"gpt2", "openai-gpt", "decision_transformer", "imagegpt"})
"""Model types whose projections named so are `Conv1D`, stored as (in, out)."""
_PACKED_DTYPES = frozenset({"U8", "I32", "I16", "F4"})
"""Types of a 2-D weight that holds several numbers in one element, or codes for them."""
_PACKED = re.compile(r"qweight|weight_packed|weight_q|codes|W_q|weight\..+|.+_blocks")
"""Names of tensors that hold packed numbers, or the state to unpack them (GPTQ and AWQ,
compressed-tensors, Quanto, AQLM, HQQ, bitsandbytes, MXFP4)."""


@dataclass(frozen=True, slots=True)
class Inferred:
    """Kind, class and features of one module as its tensors suggest them."""

    kind: Kind
    cls: str
    """The class most likely built; `Module` where nothing is said."""
    in_features: int | None = None
    out_features: int | None = None
    kernel: tuple[int, ...] | None = None
    groups: int = 1


CONTAINER = Inferred(Kind.CONTAINER, "Module")


@dataclass(frozen=True, slots=True)
class Hints:
    """What the config adds to the tensors."""

    model_type: str | None = None
    linear_layout: bool = False
    """True if every weight is stored as (out, in), whatever its class: GGUF."""
    bits: int | None = None
    """Bits of one quantized number (`quantization_config.bits`)."""
    method: str | None = None
    """`quantization_config.quant_method`: `gptq`, `awq`, …"""
    hidden_size: int | None = None


def infer(path: str, tensors: Sequence[HeldTensor], hints: Hints) -> Inferred:
    """Infer the kind of the module at `path` from the tensors that it holds directly."""
    held = dict(tensors)
    name = path.rpartition(".")[2]
    if any(_PACKED.fullmatch(each) for each in held):
        return _packed(held, hints)
    in_projection = held.get("in_proj_weight")
    if in_projection is not None and len(in_projection.shape) == 2:
        rows, width = in_projection.shape
        if rows == 3 * width:
            return Inferred(Kind.MULTIHEAD_ATTENTION, "MultiheadAttention", width, rows)
    weight = held.get("weight")
    if weight is None:
        return CONTAINER
    if len(weight.shape) == 2:
        if weight.dtype in _PACKED_DTYPES:
            return Inferred(Kind.NOT_ADAPTABLE, "QuantizedLinear")
        bias = held.get("bias")
        return _matrix(name, weight.shape, None if bias is None else bias.shape, hints)
    if len(weight.shape) in (3, 4, 5) and not is_expert_stack(path, weight.shape):
        return _convolution(weight.shape)
    return CONTAINER


def is_expert_stack(path: str, shape: tuple[int, ...]) -> bool:
    """Whether a parameter of this shape, held by the module at `path`, stacks experts."""
    last = path.split(".")[-2:]
    return len(shape) == 3 and any("expert" in part or part.endswith("exps") for part in last)


def expert_features(
    name: str, shape: tuple[int, ...], hidden_size: int | None
) -> tuple[int, int, bool]:
    """Return (in, out, transposed) of a stack of experts.

    Stored as (experts, out, in) by most classes, as (experts, in, out) by gpt-oss and Llama 4;
    told apart by which side has the hidden size, where only one has.

    Args:
        name: Full name of the parameter; it says which side should have the hidden size.
        shape: As stored, experts first.
        hidden_size: As the config states it; None if it does not.
    """
    _, rows, columns = shape
    last = name.split(".")[-2:]
    into_hidden = any("down" in part or part in ("w2", "output_linear") for part in last)
    hidden_first, hidden_last = rows == hidden_size, columns == hidden_size
    transposed = hidden_first != hidden_last and hidden_first != into_hidden
    return (rows, columns, True) if transposed else (columns, rows, False)


def _matrix(
    name: str, shape: tuple[int, ...], bias: tuple[int, ...] | None, hints: Hints
) -> Inferred:
    rows, columns = shape
    if _EMBEDDING.fullmatch(name) and not _NOT_EMBEDDING.fullmatch(name) and bias is None:
        return Inferred(Kind.EMBEDDING, "Embedding", rows, columns)
    if hints.model_type in _CONV1D_TYPES and name in _TRANSPOSED:
        inputs, outputs = (columns, rows) if hints.linear_layout else (rows, columns)
        return Inferred(Kind.CONV1D, "Conv1D", inputs, outputs)
    return Inferred(Kind.LINEAR, "Linear", columns, rows)


def _convolution(shape: tuple[int, ...]) -> Inferred:
    """(out, in / groups, *kernel); one input channel a group means a depthwise convolution."""
    outputs, per_group = shape[:2]
    groups = outputs if per_group == 1 and outputs > 1 else 1
    kernel = shape[2:]
    return Inferred(
        Kind.CONVOLUTION, f"Conv{len(kernel)}d", per_group * groups, outputs, kernel, groups
    )


def _packed(held: Mapping[str, StoredTensor], hints: Hints) -> Inferred:
    """GPTQ and AWQ pack 32/bits numbers into an int32; other forms do not show their sizes."""
    qweight = held.get("qweight")
    known = qweight is not None and len(qweight.shape) == 2 and qweight.dtype == "I32"
    if qweight is not None and known and hints.bits in (2, 4, 8):
        shape, per_element = qweight.shape, 32 // hints.bits
        if hints.method == "gptq":  # packed along the inputs
            return Inferred(Kind.LINEAR, "QuantLinear", shape[0] * per_element, shape[1])
        if hints.method == "awq":  # packed along the outputs
            return Inferred(Kind.LINEAR, "WQLinear_GEMM", shape[0], shape[1] * per_element)
    return Inferred(Kind.NOT_ADAPTABLE, "QuantizedLinear")
