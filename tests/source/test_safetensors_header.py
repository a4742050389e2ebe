from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from checkpoint_files import safetensors_bytes, write_safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from lorascope.core.errors import LorascopeError, ModelConfigError, ModelReferenceError
from lorascope.core.stored import StoredTensor
from lorascope.source.safetensors_header import (
    read_checkpoint,
    read_safetensors,
    read_whole_safetensors,
)

GOOD = safetensors_bytes({"a.weight": ("BF16", (2, 3)), "a.bias": ("F32", (2,))})


def _header(header: object) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def test_names_shapes_and_types_in_stored_order(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(GOOD)
    assert read_safetensors(path) == (
        StoredTensor("a.weight", (2, 3), "BF16"),
        StoredTensor("a.bias", (2,), "F32"),
    )


@pytest.mark.parametrize("content", [GOOD[:-1], GOOD + b"0"], ids=["short", "long"])
def test_data_of_another_length_is_an_error_where_all_of_it_is_wanted(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(GOOD)
    tensors = read_whole_safetensors(path)
    path.write_bytes(content)
    assert read_safetensors(path) == tensors
    with pytest.raises(ModelConfigError, match="damaged or its download was cut off"):
        read_whole_safetensors(path)
    with pytest.raises(SafetensorError):
        safe_open(path, "pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes; a safetensors file has at least 8"),
        (b"\x10\x00", "has 2 bytes"),
        (GOOD[:60], "but the file has 60. The file is damaged"),
        ((2**63).to_bytes(8, "little") + b"{}", "header has 9,223,372,036,854,775,808 bytes"),
        ((10**6).to_bytes(8, "little") + b"{}", "header has 1,000,000 bytes, but the file has 10"),
        (_header(b'{"a": '), "is not valid JSON"),
        (_header([1]), "holds a list"),
        (_header({"a": 3}), "tensor 'a' has no sane shape"),
        (_header({"a": {"dtype": "F32", "shape": [-1]}}), "tensor 'a' has no sane shape"),
        (_header({"a": {"dtype": "F32", "shape": [10**30]}}), "tensor 'a' has no sane shape"),
        (_header({"a": {"dtype": "F32", "shape": [1] * 99}}), "tensor 'a' has no sane shape"),
        (_header({"a": {"dtype": "F32", "shape": [1.5]}}), "tensor 'a' has no sane shape"),
        (_header({"a": {"dtype": 7, "shape": [1]}}), "tensor 'a' has no dtype"),
        (_header({"\x1b[31m": {}}), r"tensor '\x1b[31m' has no sane shape"),
    ],
)
def test_a_header_that_lies_or_is_malformed(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelConfigError) as caught:
        read_safetensors(path)
    assert message in str(caught.value)
    assert str(path) in caught.value.what


@given(position=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.booleans())
def test_no_damage_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int, cut: bool
) -> None:
    damaged = bytearray(GOOD)
    damaged[position] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(damaged[:position] if cut else damaged)
    with suppress(LorascopeError):
        assert all(tensor.count >= 0 for tensor in read_safetensors(path))


def test_an_index_leads_to_all_shards(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "b.safetensors", {"b.weight": (1,)})
    write_safetensors(tmp_path / "a.safetensors", {"a.weight": (2,), "c.weight": (3,)})
    weight_map = {
        "b.weight": "b.safetensors",
        "a.weight": "a.safetensors",
        "c.weight": "a.safetensors",
    }
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    tensors = read_checkpoint(tmp_path)
    assert tensors is not None
    assert [tensor.name for tensor in tensors] == ["b.weight", "a.weight", "c.weight"]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ({}, ModelConfigError, "has no weight_map"),
        ({"weight_map": {"a": 1}}, ModelConfigError, "has no weight_map"),
        ({"weight_map": {"a": "../../secret"}}, ModelConfigError, "is not a file beside it"),
        ({"weight_map": {"a": "gone.safetensors"}}, ModelReferenceError, "cannot be read"),
    ],
)
def test_an_index_that_leads_nowhere(
    tmp_path: Path, index: object, error: type[LorascopeError], message: str
) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(error, match=message):
        read_checkpoint(tmp_path)


def test_a_directory_without_checkpoint_gives_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
