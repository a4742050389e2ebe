"""Read a JSON object from a file that nobody vouches for."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from lorascope.core.errors import LorascopeError, ModelConfigError, ModelReferenceError
from lorascope.source.regular_file import open_regular

LARGEST_CONFIG = 10_000_000
"""Bytes. The largest published `config.json` (21,841 class labels) has under 2 MB, and parsed
JSON takes up to some 40 times its size in memory."""


def load_config_file(path: Path) -> dict[str, Any]:
    """Read `path` as one JSON object.

    Raises:
        ModelReferenceError: The file is not there, or cannot be read.
        ModelConfigError: It is too large, not UTF-8, not JSON, or not an object.
    """
    return parse_config(read_bounded(path, LARGEST_CONFIG), str(path))


def read_bounded(path: Path, largest: int) -> bytes:
    """Read a regular file of at most `largest` bytes.

    Raises:
        ModelReferenceError: The file is not there, not a regular file, or cannot be read.
        ModelConfigError: It is larger.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(largest + 1)
    except FileNotFoundError as error:
        raise ModelReferenceError(f"{path} does not exist; expected a file.") from error
    except OSError as error:
        raise ModelReferenceError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(content) > largest:
        raise ModelConfigError(
            f"{path} has {size:,} bytes; expected at most {largest:,}.",
            "Name a model's config.json, not its weights or tokenizer.",
        )
    return content


def parse_config(content: bytes, where: str) -> dict[str, Any]:
    """Parse one JSON object.

    Args:
        content: The file's bytes: UTF-8, with or without a byte order mark.
        where: What messages call it.

    Raises:
        ModelConfigError: It is not UTF-8, not JSON, or not an object.
    """
    try:
        value = json.loads(content.decode("utf-8-sig"), object_hook=_special_float)
    except UnicodeDecodeError as error:
        raise ModelConfigError(
            f"{where} is not UTF-8 text (byte {error.start:,}); expected JSON."
        ) from error
    except json.JSONDecodeError as error:
        raise _syntax_error(error, where) from error
    except RecursionError as error:
        raise ModelConfigError(f"{where} is nested too deeply to be a model's config.") from error
    except ValueError as error:  # an integer of more than 4300 digits
        raise ModelConfigError(f"{where} holds a number that is too long: {error}.") from error
    if not isinstance(value, dict):
        raise ModelConfigError(
            f"{where} holds {_JSON_WORDS.get(type(value), 'a number')}; expected a JSON object."
        )
    return value


def _special_float(value: dict[str, Any]) -> Any:
    """Read `{"__float__": "Infinity"}`, as transformers 5 writes what JSON has no number for."""
    tag = value.get("__float__") if len(value) == 1 else None
    return _SPECIAL_FLOATS.get(tag, value) if isinstance(tag, str) else value


_SPECIAL_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
"""Source: transformers 5.23.0, `_FLOAT_TAG_VALUES` in `configuration_utils.py`."""


def _syntax_error(error: json.JSONDecodeError, where: str) -> LorascopeError:
    ended = error.pos >= len(error.doc.rstrip())
    hint = "The file ends too early; fetch it again." if ended and error.doc.strip() else None
    if not error.doc.strip():
        return ModelConfigError(f"{where} is empty; expected a JSON object.")
    return ModelConfigError(
        f"{where} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.",
        hint,
    )


_JSON_WORDS = {
    list: "a list",
    str: "a string",
    bool: "true or false",
    type(None): "null",
}
