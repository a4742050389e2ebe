from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.source.config_file import LARGEST_CONFIG, load_config_file


def _error(path: Path) -> str:
    with pytest.raises(ModelConfigError) as caught:
        load_config_file(path)
    assert str(path) in caught.value.what
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a JSON object"),
        (b" \n ", "is empty; expected a JSON object"),
        (b'{"a": 1,\n "b": ', "line 2, column 7. The file ends too early"),
        (b'{"a": 1,, "b": 2}', "line 1, column 9."),
        (b"[1, 2]", "holds a list; expected a JSON object"),
        (b'"text"', "holds a string"),
        (b"true", "holds true or false"),
        (b"3.5", "holds a number"),
        (b"null", "holds null"),
        (b'{"a": "\xff"}', "is not UTF-8 text (byte 7)"),
        (b'{"a": ' + b"9" * 5000 + b"}", "holds a number that is too long"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
    ],
)
def test_malformed_content_is_one_clear_message(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    assert message in _error(path)


def test_a_large_file_is_refused_unread_and_the_bound_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 200_000_000)
    message = _error(path)
    assert "200,000,000 bytes" in message
    assert f"{LARGEST_CONFIG:,}" in message


def test_byte_order_mark_and_infinity_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"time_step_limit": [0.0, Infinity]}')
    assert load_config_file(path) == {"time_step_limit": [0.0, float("inf")]}


def test_missing_file_directory_and_device_are_references_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    for path, what in (
        (tmp_path / "nothing.json", "does not exist"),
        (tmp_path, "is a directory"),
        (Path(os.devnull), "is not a regular file"),
    ):
        with pytest.raises(ModelReferenceError, match=what):
            load_config_file(path)


def test_escapes_in_a_file_name_do_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred.json"
    path.write_text(json.dumps([]))
    with pytest.raises(ModelConfigError) as caught:
        load_config_file(path)
    assert str(caught.value).isprintable()
