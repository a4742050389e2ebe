from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from checkpoint_files import gguf_bytes
from hypothesis import given
from hypothesis import strategies as st

from lorascope.core.errors import LorascopeError, ModelConfigError
from lorascope.core.stored import StoredTensor
from lorascope.source.gguf_header import GgufHeader, read_gguf

GOOD = gguf_bytes(
    {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.rope.freq_base": 10000.0,
        "general.flag": True,
        "llama.attention.head_count_kv": [8, 8],
        "tokenizer.ggml.tokens": ["a", "b", "c"],
    },
    [("token_embd.weight", (3, 4)), ("output_norm.weight", (4,))],
)


def _read(tmp_path: Path, content: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_gguf(path)


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_and_tensors(tmp_path: Path, version: int) -> None:
    content = GOOD[:4] + struct.pack("<I", version) + GOOD[8:]
    header = _read(tmp_path, content)
    assert header.metadata == {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.rope.freq_base": 10000.0,
        "general.flag": True,
        "llama.attention.head_count_kv": [8, 8],
    }
    assert header.lengths == {"llama.attention.head_count_kv": 2, "tokenizer.ggml.tokens": 3}
    assert header.tensors == (
        StoredTensor("token_embd.weight", (3, 4), "F16"),
        StoredTensor("output_norm.weight", (4,), "F16"),
    )


def _start(tensors: int, pairs: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends inside the magic number"),
        (b"GG", "it ends inside the magic number"),
        (b"PK\x03\x04" * 9, "it does not begin with GGUF"),
        (_start(0, 0, version=1), "version 1 is not 2 or 3"),
        (b"GGUF\x00\x00\x00\x03" + bytes(16), "it is big-endian"),
        (_start(2**60, 0), "it says 1,152,921,504,606,846,976 tensors, but 8 bytes are left"),
        (_start(0, 2**60), "metadata entries, but 0 bytes are left"),
        (_start(0, 1) + struct.pack("<Q", 2**62) + bytes(40), "a metadata key has 4,611,686"),
        (_start(0, 1) + struct.pack("<Q", 70_000) + bytes(70_100), "has 70,000 bytes, over 1,000"),
        (
            _start(0, 1) + struct.pack("<Q1sI", 1, b"k", 99) + bytes(9),
            "'k' has the unknown type 99",
        ),
        (
            _start(0, 1) + struct.pack("<Q1sIQ", 1, b"k", 8, 2**40),
            "the text 'k' has 1,099,511,627,776 bytes, but only 0 are left",
        ),
        (
            _start(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 4, 2**40),
            "1,099,511,627,776 entries in 'k'",
        ),
        (
            _start(0, 1) + struct.pack("<Q1sI", 1, b"k", 9) + struct.pack("<IQ", 9, 1) * 9,
            "the list 'k' is nested too deeply",
        ),
        (
            _start(1, 0) + struct.pack("<Q1sI", 1, b"t", 99) + bytes(900),
            "it says 99 dimensions of 't'",
        ),
        (
            _start(1, 0) + struct.pack("<Q1sIQIQ", 1, b"t", 1, 2**63, 0, 0),
            "tensor 't' has an impossible shape",
        ),
    ],
)
def test_a_header_that_lies_is_one_clear_message(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(ModelConfigError) as caught:
        _read(tmp_path, content)
    assert message in caught.value.what
    assert "is not a GGUF file that can be read" in caught.value.what


@pytest.mark.parametrize("length", range(0, len(GOOD), 7))
def test_every_cut_is_noticed(tmp_path: Path, length: int) -> None:
    with pytest.raises(ModelConfigError):
        _read(tmp_path, GOOD[:length])


@given(position=st.integers(4, len(GOOD) - 1), byte=st.integers(0, 255))
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    damaged = bytearray(GOOD)
    damaged[position] = byte
    with suppress(LorascopeError):
        header = _read(tmp_path_factory.getbasetemp(), bytes(damaged))
        assert len(header.tensors) <= 2


def test_many_empty_texts_do_not_take_forever(tmp_path: Path) -> None:
    count = 6_000_000
    content = _start(0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, count)
    path = tmp_path / "model.gguf"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(len(content) + 8 * count)
    with pytest.raises(ModelConfigError, match="over 2,000,000 entries"):
        read_gguf(path)


def test_long_texts_and_lists_are_skipped_not_kept(tmp_path: Path) -> None:
    header = _read(
        tmp_path, gguf_bytes({"long": "x" * 1_000_001, "scores": [1] * 20_000, "after": 7}, [])
    )
    assert header.metadata == {"after": 7}
    assert header.lengths == {"scores": 20_000}
