"""What an adapter says of its base model."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lorascope.core.errors import ModelReferenceError
from lorascope.source.config_file import load_config_file


class AdapterBase(NamedTuple):
    """The base model that an `adapter_config.json` names."""

    name: str
    """`base_model_name_or_path`."""
    revision: str | None
    """Its `revision`, which PEFT stores for the base model; None for the default branch."""


def read_adapter(path: Path) -> AdapterBase:
    """Read the base model's name from an `adapter_config.json`.

    Raises:
        ModelReferenceError: It names no base model, or cannot be read.
        ModelConfigError: It is not a JSON object.
    """
    config = load_config_file(path)
    name = config.get("base_model_name_or_path")
    if not isinstance(name, str) or not name.strip():
        raise ModelReferenceError(
            f"{path} names no base model (base_model_name_or_path is {name!r:.80}).",
            "Name the base model itself.",
        )
    revision = config.get("revision")
    return AdapterBase(name, revision if isinstance(revision, str) and revision else None)
