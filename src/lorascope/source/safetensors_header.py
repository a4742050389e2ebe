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
from lorascope.core.stored import StoredTensor
from lorascope.source.config_file import parse_config, read_bounded
from lorascope.source.regular_file import open_regular
from lorascope.source.tensors import check_count, check_name

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
LONGEST_HEADER = 50_000_000
"""Bytes, over all shards. The largest published checkpoints have 35,000,000."""
_LARGEST_INDEX = 30_000_000
_MOST_VALUES = 4_000_000
"""Values in one header or index. A tensor has 9, and parsed values take up to 100 bytes each."""
_MOST_SHARDS = 5_000
_MOST_DIMENSIONS = 16
_LARGEST_DIMENSION = 2**48


def read_checkpoint(directory: Path) -> tuple[StoredTensor, ...] | None:
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


def read_safetensors(path: Path) -> tuple[StoredTensor, ...]:
    """Read the header of one safetensors file, tensors in stored order.

    Raises:
        ModelReferenceError: The file cannot be read.
        ModelConfigError: The header is malformed or lies about its length.
    """
    return _Headers().read(path)


def read_whole_safetensors(path: Path) -> tuple[StoredTensor, ...]:
    """Read a header like `read_safetensors`, if the data that it speaks of is all there.

    The library itself opens no file that is shorter or longer than its header says.

    Raises:
        ModelReferenceError: The file cannot be read.
        ModelConfigError: The header is malformed, or the file has another length.
    """
    return _Headers(is_whole=True).read(path)


def tensors_of_header(header: Mapping[str, Any], where: str) -> tuple[StoredTensor, ...]:
    """Read the tensors of a parsed header.

    Raises:
        ModelConfigError: An entry has no type or no sane shape.
    """
    check_count(len(header), where)
    return tuple(
        _tensor(name, entry, where) for name, entry in header.items() if name != "__metadata__"
    )


def _read_shards(index: Path) -> tuple[StoredTensor, ...]:
    weight_map = _parse(read_bounded(index, _LARGEST_INDEX), str(index)).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(shard, str) for shard in weight_map.values()
    ):
        raise ModelConfigError(f"{index} has no weight_map of tensor name to file name.")
    check_count(len(weight_map), str(index))
    shards = list(dict.fromkeys(weight_map.values()))
    if len(shards) > _MOST_SHARDS:
        raise ModelConfigError(
            f"{index} names {len(shards):,} files; expected at most {_MOST_SHARDS:,}."
        )
    headers = _Headers()
    tensors: list[StoredTensor] = []
    for shard in shards:
        if Path(shard).name != shard:
            raise ModelConfigError(f"{index} names {shard!r}, which is not a file beside it.")
        tensors.extend(headers.read(index.parent / shard))
        check_count(len(tensors), str(index))
    return tuple(tensors)


class _Headers:
    """Headers of one checkpoint: how many bytes may follow, and which files were read."""

    def __init__(self, *, is_whole: bool = False) -> None:
        self._is_whole = is_whole
        self._left = LONGEST_HEADER
        self._read: set[tuple[int, int]] = set()

    def read(self, path: Path) -> tuple[StoredTensor, ...]:
        """Read the tensors of one file; a file read before, under any name, adds none."""
        try:
            with open_regular(path) as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                if identity in self._read:
                    return ()
                self._read.add(identity)
                length = self._length(file.read(8), status.st_size, path)
                content = file.read(length)
        except OSError as error:
            reason = error.strerror or error
            raise ModelReferenceError(f"{path} cannot be read: {reason}.") from error
        header = _parse_header(content, path)
        tensors = tensors_of_header(header, str(path))
        if self._is_whole:
            _check_data(header, 8 + length, status.st_size, path)
        return tensors

    def _length(self, prefix: bytes, size: int, path: Path) -> int:
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
        self._left -= length
        if self._left < 0:
            raise ModelConfigError(
                f"{path} and the shards before it have headers of over {LONGEST_HEADER:,} bytes."
            )
        return length


def _check_data(header: Mapping[str, Any], start: int, size: int, path: Path) -> None:
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    end = start + max(map(_data_end, entries), default=0)
    if size != end:
        raise ModelConfigError(
            f"{path} has {size:,} bytes, but by its header it has {end:,}.",
            "The file is damaged or its download was cut off; fetch it again.",
        )


def _data_end(entry: Mapping[str, Any]) -> int:
    match entry.get("data_offsets"):
        case [int(), int(end)]:
            return end
    return 0


def _parse_header(content: bytes, path: Path) -> Mapping[str, Any]:
    try:
        return _parse(content, f"{path} (header)")
    except ModelConfigError as error:
        raise ModelConfigError(
            error.what,
            f"The file says that its header has {len(content):,} bytes; that may be wrong. It is"
            " damaged or not a safetensors file; fetch it again.",
        ) from error


def _parse(content: bytes, where: str) -> Mapping[str, Any]:
    """Parse one JSON object, unless it holds far more values than a checkpoint has.

    Commas and brackets inside texts are counted too, which leaves room enough.
    """
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _MOST_VALUES:
        raise ModelConfigError(f"{where} holds over {_MOST_VALUES:,} values.")
    return parse_config(content, where)


def _tensor(name: str, entry: object, where: str) -> StoredTensor:
    check_name(name, where)
    return StoredTensor(name, _shape(entry, name, where), _dtype(entry, name, where))


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
