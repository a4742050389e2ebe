"""No named pipe or device is waited for, wherever a file is read."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lorascope.core.errors import LorascopeError
from lorascope.source import resolve
from lorascope.source.cache import Cache
from lorascope.source.regular_file import open_regular
from lorascope.source.safetensors_header import read_checkpoint

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def _within_seconds(call: Callable[[], object]) -> object:
    """Run `call` aside, so that one that waits for ever fails the test instead of stopping it."""
    answers: list[object] = []

    def run() -> None:
        try:
            answers.append(call())
        except (OSError, LorascopeError) as error:
            answers.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive(), "it waits"
    return answers[0]


@needs_pipes
@pytest.mark.parametrize("name", ["f", "f.gguf", "f.safetensors", "f.json", "adapter_config.json"])
def test_a_pipe_as_model_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)

    def read() -> object:
        return resolve(str(tmp_path / name)).tensors()

    assert "is not a regular file" in str(_within_seconds(read))


@needs_pipes
def test_a_pipe_as_shard_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    index = {"weight_map": {"a": "a.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    answer = _within_seconds(lambda: read_checkpoint(tmp_path))
    assert "is not a regular file" in str(answer)


@needs_pipes
def test_a_pipe_as_cache_entry_is_no_entry(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{'0' * 40}.inventory")
    cache = Cache(tmp_path)
    assert _within_seconds(lambda: cache.load("0" * 40)) is None
    assert "is not a regular file" in str(cache.problem)


@pytest.mark.parametrize("name", ["nul\0byte", "surrogate\ud800", "gone", "."])
def test_what_is_no_file_is_an_os_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="."):
        open_regular(tmp_path / name)


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"content"
