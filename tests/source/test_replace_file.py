"""Only regular files are replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorascope.source.replace_file import check_replaceable, replace_file


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


def test_a_new_file_and_an_old_one(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        replace_file(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    _link(tmp_path / "to_pipe", "pipe")
    _link(tmp_path / "to_device", os.devnull)
    before = sorted(path.name for path in tmp_path.iterdir())
    for name in before:
        with pytest.raises(OSError, match="it is not a regular file"):
            replace_file(tmp_path / name, b"content")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["/dev/null", "/dev/full", "/dev/stdout", "/proc/self/fd/1"])
def test_devices_are_not_replaceable(name: str) -> None:
    if not os.path.lexists(name):
        pytest.skip("not on this system")
    with pytest.raises(OSError, match="it is not a regular file"):
        check_replaceable(Path(name))


def test_a_link_to_nothing_can_be_replaced(tmp_path: Path) -> None:
    _link(tmp_path / "link", "nowhere")
    replace_file(tmp_path / "link", b"content")
    assert not (tmp_path / "link").is_symlink()
