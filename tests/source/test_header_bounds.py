"""Headers far beyond any published checkpoint's are refused soon; the largest published pass."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoint_files import gguf_bytes, write_safetensors

import lorascope.source.gguf_header as gguf_header
import lorascope.source.safetensors_header as safetensors_header
import lorascope.source.tensor_tree as tensor_tree
import lorascope.source.tensors as tensors
from lorascope.core.errors import ModelConfigError
from lorascope.core.stored import StoredTensor
from lorascope.source import resolve
from lorascope.source.checkpoint import inventory_from_tensors
from lorascope.source.gguf_header import read_gguf
from lorascope.source.safetensors_header import INDEX_FILE, read_checkpoint, read_safetensors
from lorascope.source.tensor_tree import held_tensors

ENTRY = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}


def _write_header(path: Path, header: object) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)


def _write_index(directory: Path, weight_map: dict[str, str]) -> None:
    (directory / INDEX_FILE).write_text(json.dumps({"weight_map": weight_map}))


def test_a_checkpoint_as_large_as_the_largest_published_is_read(tmp_path: Path) -> None:
    """As DeepSeek-V3: 61 layers of 256 experts with a scale beside each weight, in 163 shards."""
    names = [
        f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj.{tensor}"
        for layer in range(61)
        for expert in range(256)
        for name in ("gate", "up", "down")
        for tensor in ("weight", "weight_scale_inv")
    ]
    for shard in range(163):
        _write_header(tmp_path / f"{shard}.safetensors", dict.fromkeys(names[shard::163], ENTRY))
    _write_index(tmp_path, {name: f"{index % 163}.safetensors" for index, name in enumerate(names)})
    modules = inventory_from_tensors(resolve(str(tmp_path))).modules
    assert sum(1 for module in modules if module.parameters) == 61 * 256 * 3


def test_too_many_tensors_in_one_file_or_all_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "MOST_TENSORS", 5)
    _write_header(tmp_path / "a.safetensors", {f"a{index}": ENTRY for index in range(6)})
    with pytest.raises(ModelConfigError, match="lists 6 tensors; expected at most 5"):
        read_safetensors(tmp_path / "a.safetensors")
    for shard in ("b", "c"):
        names = {f"{shard}{index}": ENTRY for index in range(3)}
        _write_header(tmp_path / f"{shard}.safetensors", names)
    _write_index(tmp_path, {"b": "b.safetensors", "c": "c.safetensors", "d": "gone.safetensors"})
    with pytest.raises(ModelConfigError, match="lists 6 tensors"):  # before the third is opened
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 513, "has 513 characters; expected at most 512"), (".".join("x" * 65), "64 parts")],
)
def test_names_too_long_or_too_deep(tmp_path: Path, name: str, message: str) -> None:
    readers: dict[str, Callable[[Path], Any]] = {"s": read_safetensors, "g": read_gguf}
    write_safetensors(tmp_path / "s", {name: (1,)})
    (tmp_path / "g").write_bytes(gguf_bytes({}, [(name, (1,))]))
    for file, read in readers.items():
        with pytest.raises(ModelConfigError, match=message):
            read(tmp_path / file)
    write_safetensors(tmp_path / "s", {name[:127]: (1,)})
    assert len(read_safetensors(tmp_path / "s")) == 1


def test_header_bytes_are_summed_over_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shard in ("a", "b"):
        _write_header(tmp_path / f"{shard}.safetensors", {shard: ENTRY})
    _write_index(tmp_path, {"a": "a.safetensors", "b": "b.safetensors"})
    monkeypatch.setattr(safetensors_header, "LONGEST_HEADER", 100)
    assert len(read_safetensors(tmp_path / "b.safetensors")) == 1
    with pytest.raises(ModelConfigError, match=r"b\.safetensors and the shards before it"):
        read_checkpoint(tmp_path)


def test_one_shard_under_many_names_is_read_once(tmp_path: Path) -> None:
    _write_header(tmp_path / "a.safetensors", {"a": ENTRY})
    names = [f"{index}.safetensors" for index in range(60)]
    for name in names:
        (tmp_path / name).symlink_to("a.safetensors")
    _write_index(tmp_path, {name: name for name in names})
    assert read_checkpoint(tmp_path) == (StoredTensor("a", (2, 2), "BF16"),)


def test_values_are_counted_before_they_are_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(content: bytes, where: str) -> None:
        pytest.fail("parsed")

    monkeypatch.setattr(safetensors_header, "parse_config", refuse)
    content = b'{"a":[' + b"{}," * 2_000_001 + b"{}]}"
    (tmp_path / "model.safetensors").write_bytes(len(content).to_bytes(8, "little") + content)
    with pytest.raises(ModelConfigError, match="holds over 4,000,000 values"):
        read_checkpoint(tmp_path)
    (tmp_path / INDEX_FILE).write_bytes(content)
    with pytest.raises(ModelConfigError, match="holds over 4,000,000 values"):
        read_checkpoint(tmp_path)


def test_a_stated_length_that_is_too_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _write_header(path, {"model.norm.weight": ENTRY})
    path.write_bytes((20).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(ModelConfigError) as caught:
        read_safetensors(path)
    assert "its header has 20 bytes; that may be wrong" in str(caught.value.hint)


def test_headers_are_read_once_however_often_they_are_asked(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"a.weight": (1,)})
    for reference in (tmp_path, tmp_path / "model.safetensors"):
        source = resolve(str(reference))
        assert source.tensors() is source.tensors() is not None


def test_names_that_make_too_many_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_tree, "MOST_MODULES", 50)
    names = [".".join(f"{index}.{part}" for part in range(20)) for index in range(3)]
    with pytest.raises(ModelConfigError, match="over 50 modules"):
        held_tensors([StoredTensor(name, (1,), "F32") for name in names])


def test_gguf_counts_are_bounded_though_the_bytes_are_there(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    for counts, message in (((50_001, 0), "50,001 tensors"), ((0, 20_001), "20,001 metadata")):
        with path.open("wb") as file:
            file.write(b"GGUF" + struct.pack("<IQQ", 3, *counts))
            file.truncate(10_000_000)
        with pytest.raises(ModelConfigError, match=f"{message}.*; expected at most"):
            read_gguf(path)


def test_what_gguf_metadata_keeps_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_header, "_MOST_READ", 1_000)
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes({f"k{index}": "x" * 90 for index in range(20)}, []))
    with pytest.raises(ModelConfigError, match="its header has over 1,000 bytes"):
        read_gguf(path)
