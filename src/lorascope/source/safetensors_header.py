"""Read the tensor headers of safetensors files: names, shapes and types, never the data.

Format: 8 bytes little-endian header length, then that many bytes of one JSON object of tensor
name to {dtype, shape, data_offsets}, with `__metadata__` beside them. Source:
https://huggingface.co/docs/safetensors/index#format. Every length is checked against the file's
size before anything is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.source.config_file import parse_config, read_bounded
from lorascope.source.regular_file import open_regular
from lorascope.source.tensors import TensorHeader

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
LONGEST_HEADER = 100_000_000
"""Bytes; the format's own bound (`MAX_HEADER_SIZE` of the safetensors library)."""
_LARGEST_INDEX = 100_000_000
_MOST_SHARDS = 5_000
_MOST_DIMENSIONS = 16
_LARGEST_DIMENSION = 2**48


def read_checkpoint(directory: Path) -> tuple[TensorHeader, ...] | None:
    """Read the headers of a directory's safetensors checkpoint, sharded or single.

    Returns:
        All tensors, shard by shard, or None if there is neither an index nor a single file.

    Raises:
        ModelReferenceError: A shard that the index names is not there.
        ModelConfigError: A header or the index is malformed.
    """
    index = directory / INDEX_FILE
    if index.is_file():
        return _read_shards(index)
    single = directory / SINGLE_FILE
    return read_safetensors(single) if single.is_file() else None


def read_safetensors(path: Path) -> tuple[TensorHeader, ...]:
    """Read the header of one safetensors file, tensors in stored order.

    Raises:
        ModelReferenceError: The file cannot be read.
        ModelConfigError: The header is malformed or lies about its length.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = _header_length(file.read(8), size, path)
            content = file.read(length)
    except OSError as error:
        raise ModelReferenceError(f"{path} cannot be read: {error.strerror or error}.") from error
    return tensors_of_header(parse_config(content, f"{path} (header)"), str(path))


def tensors_of_header(header: Mapping[str, Any], where: str) -> tuple[TensorHeader, ...]:
    """Read the tensors of a parsed header.

    Raises:
        ModelConfigError: An entry has no type or no sane shape.
    """
    return tuple(
        TensorHeader(name, _shape(entry, name, where), _dtype(entry, name, where))
        for name, entry in header.items()
        if name != "__metadata__"
    )


def _read_shards(index: Path) -> tuple[TensorHeader, ...]:
    weight_map = parse_config(read_bounded(index, _LARGEST_INDEX), str(index)).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(shard, str) for shard in weight_map.values()
    ):
        raise ModelConfigError(f"{index} has no weight_map of tensor name to file name.")
    shards = list(dict.fromkeys(weight_map.values()))
    if len(shards) > _MOST_SHARDS:
        raise ModelConfigError(
            f"{index} names {len(shards):,} files; expected at most {_MOST_SHARDS:,}."
        )
    tensors: list[TensorHeader] = []
    for shard in shards:
        if Path(shard).name != shard:
            raise ModelConfigError(f"{index} names {shard!r}, which is not a file beside it.")
        tensors.extend(read_safetensors(index.parent / shard))
    return tuple(tensors)


def _header_length(prefix: bytes, size: int, path: Path) -> int:
    if len(prefix) < 8:
        raise ModelConfigError(f"{path} has {size} bytes; a safetensors file has at least 8.")
    length = int.from_bytes(prefix, "little")
    if length > LONGEST_HEADER:
        raise ModelConfigError(
            f"{path} says that its header has {length:,} bytes; expected at most"
            f" {LONGEST_HEADER:,}.",
            "It is not a safetensors file, or it is damaged.",
        )
    if length > size - 8:
        raise ModelConfigError(
            f"{path} says that its header has {length:,} bytes, but the file has {size:,}.",
            "The file is damaged or its download was cut off; fetch it again.",
        )
    return length


def _shape(entry: object, name: str, where: str) -> tuple[int, ...]:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    sane = (
        isinstance(shape, list)
        and len(shape) <= _MOST_DIMENSIONS
        and all(
            isinstance(each, int) and not isinstance(each, bool) and 0 <= each <= _LARGEST_DIMENSION
            for each in shape
        )
    )
    if not isinstance(shape, list) or not sane:
        raise ModelConfigError(f"{where}: tensor {name!r} has no sane shape (got {shape!r:.80}).")
    return tuple(shape)


def _dtype(entry: object, name: str, where: str) -> str:
    dtype = entry.get("dtype") if isinstance(entry, dict) else None
    if not isinstance(dtype, str):
        raise ModelConfigError(f"{where}: tensor {name!r} has no dtype.")
    return dtype
