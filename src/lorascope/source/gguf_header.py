"""Read a GGUF file's header: metadata and tensor infos, never the weights.

Own reader, because the `gguf` package maps the whole file, needs NumPy, and trusts every length
it reads. Here each length is checked against what is left of the file before it is used. Format
(versions 2 and 3, little-endian): https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.core.stored import StoredTensor
from lorascope.source.regular_file import open_regular
from lorascope.source.tensors import check_name

MAGIC = b"GGUF"
Value = int | float | bool | str | list[int | float | bool]

_VERSIONS = (2, 3)
_MOST_PAIRS = 20_000
_MOST_TENSORS = 50_000
"""GGUF stacks experts; published files have under 5,000."""
_MOST_DIMENSIONS = 8
_LONGEST_KEY = 1_000
_LONGEST_NAME = 2_048
"""Bytes of a tensor's name, whose characters are counted too."""
_MOST_READ = 64_000_000
"""Bytes taken into memory over the whole header; what is skipped does not count."""
_LONGEST_TEXT = 1_000_000
"""Bytes beyond which a text is left out."""
_LONGEST_LIST = 10_000
"""Entries beyond which only a list's length is kept."""
_MOST_ENTRIES = 2_000_000
"""Texts and lists inside lists, over the whole file: the largest vocabularies have 260,000
tokens and 520,000 merges."""
_READ_THROUGH = 4_096
"""Bytes up to which reading past is quicker than seeking past."""
_DEEPEST_ARRAY = 4
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS: Mapping[int, str] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""Metadata value type → struct code."""
_TENSOR_TYPES: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
    10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
    17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S",
    23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
"""Source: `GGMLQuantizationType` of gguf 0.19.0; an unknown number is shown as `type 99`."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the weights."""

    metadata: Mapping[str, Value]
    """Scalars, texts and lists of numbers; long ones are left out."""
    lengths: Mapping[str, int]
    """Number of entries of every list, for example `tokenizer.ggml.tokens`."""
    tensors: tuple[StoredTensor, ...]


def read_gguf(path: Path) -> GgufHeader:
    """Read the header of `path`.

    Raises:
        ModelReferenceError: The file cannot be read.
        ModelConfigError: It is not GGUF, of an unknown version, or lies about a length.
    """
    try:
        with open_regular(path) as file:
            return _Reader(file, path).header()
    except OSError as error:
        raise ModelReferenceError(f"{path} cannot be read: {error.strerror or error}.") from error


class _Reader:
    """A position in the file, and how many bytes are left after it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._left = os.fstat(file.fileno()).st_size
        self._entries = 0
        self._read = 0
        self._metadata: dict[str, Value] = {}
        self._lengths: dict[str, int] = {}

    def header(self) -> GgufHeader:
        if self._take(4, "the magic number") != MAGIC:
            raise self._bad("it does not begin with GGUF")
        version = self._number("I")
        if version not in _VERSIONS:
            big_endian = int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS
            raise self._bad(
                "it is big-endian" if big_endian else f"version {version} is not 2 or 3"
            )
        tensors = self._count("Q", _MOST_TENSORS, 24, "tensors")
        pairs = self._count("Q", _MOST_PAIRS, 13, "metadata entries")
        for _ in range(pairs):
            key = self._name("a metadata key", _LONGEST_KEY)
            self._pair(key)
        return GgufHeader(
            self._metadata, self._lengths, tuple(self._tensor() for _ in range(tensors))
        )

    def _pair(self, key: str) -> None:
        kind = self._number("I")
        if kind == _ARRAY:
            self._array(key, depth=0)
        elif kind == _STRING:
            self._string(key)
        else:
            self._metadata[key] = self._scalars(kind, 1, key)[0]

    def _string(self, key: str) -> None:
        length = self._length(f"the text {key!r}")
        if length > _LONGEST_TEXT:
            self._skip(length)
        else:
            self._metadata[key] = self._take(length, key).decode("utf-8", "replace")

    def _array(self, key: str, depth: int) -> None:
        """Read a list; its entries are kept if they are numbers and not too many."""
        if depth > _DEEPEST_ARRAY:
            raise self._bad(f"the list {key!r} is nested too deeply")
        kind = self._number("I")
        smallest = 8 if kind == _STRING else 12 if kind == _ARRAY else self._width(kind, key)
        count = self._count("Q", self._left, smallest, f"entries in {key!r}")
        self._lengths.setdefault(key, count)
        if kind in (_ARRAY, _STRING):
            self._entries += count
            if self._entries > _MOST_ENTRIES:
                raise self._bad(f"its lists have over {_MOST_ENTRIES:,} entries")
        if kind == _ARRAY:
            for _ in range(count):
                self._array(key, depth + 1)
        elif kind == _STRING:
            for _ in range(count):
                self._skip(self._length(f"a text in {key!r}"))
        elif count <= _LONGEST_LIST and depth == 0:
            self._metadata[key] = self._scalars(kind, count, key)
        else:
            self._skip(count * smallest)

    def _tensor(self) -> StoredTensor:
        name = self._name("a tensor name", _LONGEST_NAME)
        check_name(name, str(self._path))
        dimensions = self._count("I", _MOST_DIMENSIONS, 8, f"dimensions of {name!r}")
        stored = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions, name))
        if any(each >= 2**48 for each in stored):
            raise self._bad(f"tensor {name!r} has an impossible shape {stored}")
        kind = self._number("I")
        self._number("Q")  # where its data begins
        # ggml stores the innermost dimension first.
        return StoredTensor(name, stored[::-1], _TENSOR_TYPES.get(kind, f"type {kind}"))

    def _scalars(self, kind: int, count: int, key: str) -> list[int | float | bool]:
        width = self._width(kind, key)
        code = "B" if kind == _BOOL else _SCALARS[kind]
        values = struct.unpack(f"<{count}{code}", self._take(width * count, key))
        return [bool(each) for each in values] if kind == _BOOL else list(values)

    def _width(self, kind: int, key: str) -> int:
        if kind not in _SCALARS:
            raise self._bad(f"{key!r} has the unknown type {kind}")
        return struct.calcsize(f"<{_SCALARS[kind]}")

    def _name(self, what: str, longest: int) -> str:
        length = self._length(what)
        if length > longest:
            raise self._bad(f"{what} has {length:,} bytes, over {longest:,}")
        return self._take(length, what).decode("utf-8", "replace")

    def _length(self, what: str) -> int:
        length = self._number("Q")
        if length > self._left:
            raise self._bad(f"{what} has {length:,} bytes, but only {self._left:,} are left")
        return length

    def _count(self, code: str, most: int, smallest: int, what: str) -> int:
        """Read a count of things that take at least `smallest` bytes each."""
        count = self._number(code)
        if most < count <= self._left // smallest:
            raise self._bad(f"it says {count:,} {what}; expected at most {most:,}")
        if count * smallest > self._left:
            raise self._bad(f"it says {count:,} {what}, but {self._left:,} bytes are left")
        return count

    def _number(self, code: str) -> int:
        value = struct.unpack(f"<{code}", self._take(struct.calcsize(f"<{code}"), "a number"))[0]
        return int(value)

    def _take(self, length: int, what: str) -> bytes:
        self._read += length
        if length <= self._left and self._read > _MOST_READ:
            raise self._bad(f"its header has over {_MOST_READ:,} bytes")
        content = self._file.read(length) if length <= self._left else b""
        if len(content) != length:
            raise self._bad(f"it ends inside {what}")
        self._left -= length
        return content

    def _skip(self, length: int) -> None:
        if length > self._left:
            raise self._bad("it ends inside its metadata")
        if length <= _READ_THROUGH:
            self._file.read(length)
        else:
            self._file.seek(length, 1)
        self._left -= length

    def _bad(self, why: str) -> ModelConfigError:
        return ModelConfigError(
            f"{self._path} is not a GGUF file that can be read: {why}.",
            "Fetch it again, or name the model's config.json or Hub id.",
        )
