"""Write an `adapter_config.json` whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorascope.core.errors import LorascopeError, OutputError
from lorascope.source.config_file import load_config_file
from lorascope.source.local import ADAPTER_FILE
from lorascope.source.replace_file import replace_file


def write_adapter_config(directory: Path, config: Mapping[str, Any], *, force: bool) -> Path:
    """Write the configuration into a directory, which is made if there is none.

    Args:
        directory: Where to.
        config: The fields, written as PEFT writes them: sorted and indented by two.
        force: Overwrite a file that says something else.

    Returns:
        The path of the file.

    Raises:
        OutputError: The directory cannot be written to, or holds a different file already.
    """
    path = directory / ADAPTER_FILE
    text = json.dumps(dict(config), indent=2, sort_keys=True) + "\n"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not force and not _says_the_same(path, config):
            raise OutputError(
                f"{path} exists and differs from this plan.",
                "Use --force to overwrite it, or another directory.",
            )
        replace_file(path, text.encode())
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Name a directory that you may write to with -o.",
        ) from error
    return path


def _says_the_same(path: Path, config: Mapping[str, Any]) -> bool:
    try:
        return bool(load_config_file(path) == json.loads(json.dumps(dict(config))))
    except LorascopeError:
        return False
