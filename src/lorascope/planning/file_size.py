"""Size of a safetensors file, header and all, without writing it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod

from lorascope.matching.stored_tensors import Tensor

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_ORDER = {"F64": 0, "F32": 1, "BF16": 2, "F16": 3}
_METADATA = '{"__metadata__":{"format":"pt"}'


def safetensors_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the size in bytes of the file that safetensors writes for these tensors.

    Eight bytes for the header's length, the header as compact JSON padded with spaces to a
    multiple of eight, then the tensors by type (widest first) and name. A name that stands twice
    is one tensor.

    Source: safetensors 0.6, `src/tensor.rs`, `prepare`.
    """
    by_name = {tensor.name: tensor for tensor in tensors}
    header = len(_METADATA) + 1
    offset = 0
    for tensor in sorted(by_name.values(), key=lambda t: (_ORDER[t.dtype], t.name)):
        end = offset + prod(tensor.shape) * _BYTES[tensor.dtype]
        shape = ",".join(map(str, tensor.shape))
        name = json.dumps(tensor.name, ensure_ascii=False)
        entry = (
            f',{name}:{{"dtype":"{tensor.dtype}","shape":[{shape}],'
            f'"data_offsets":[{offset},{end}]}}'
        )
        header += len(entry.encode())
        offset = end
    return 8 + -(-header // 8) * 8 + offset
