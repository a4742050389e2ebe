"""References to something on disk: a model's or adapter's directory, a config, a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.source.config_check import check_config
from lorascope.source.config_file import load_config_file
from lorascope.source.model_source import ModelSource
from lorascope.source.regular_file import open_regular
from lorascope.source.safetensors_header import INDEX_FILE, read_checkpoint, read_safetensors

CONFIG_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"


def holds_model(directory: Path) -> bool:
    """Whether the directory has a config, a model's or an adapter's, or a safetensors file."""
    named = (CONFIG_FILE, ADAPTER_FILE, INDEX_FILE)
    return any((directory / name).is_file() for name in named) or any(
        directory.glob("*.safetensors")
    )


def adapter_file(path: Path) -> Path | None:
    """Return the `adapter_config.json` that `path` names (a file or its directory), or None.

    A directory that has a model's config too counts as that model's: some trainers write the
    base model's config beside the adapter, and a merged model keeps the adapter's.
    """
    if path.is_dir():
        adapter = path / ADAPTER_FILE
        return adapter if adapter.is_file() and not (path / CONFIG_FILE).is_file() else None
    return path if path.name == ADAPTER_FILE else None


def local_source(reference: str, path: Path) -> ModelSource:
    """Read a local model (not an adapter) that exists at `path`.

    Raises:
        ModelReferenceError: There is nothing to read a model from.
        ModelConfigError: The config or header is malformed.
    """
    if path.is_dir():
        return _directory(reference, path)
    if path.suffix == ".safetensors":
        return _safetensors(reference, path)
    if path.suffix == ".gguf" or _starts_with(path, b"GGUF"):
        from lorascope.source.gguf_source import gguf_source

        return gguf_source(reference, path)
    return _config(reference, path)


def source_of_config(reference: str, config: Mapping[str, Any], where: str) -> ModelSource:
    """Make the source of a parsed config after checking it; the caller sets the origin's fields.

    Raises:
        ModelConfigError: A size is impossible, fields contradict each other, or `model_type` is
            not a string.
    """
    check_config(config, where)
    model_type = config.get("model_type")
    if model_type is not None and not isinstance(model_type, str):
        raise ModelConfigError(f"{where}: model_type is {model_type!r:.80}; expected a string.")
    return ModelSource(reference, "config", config, model_type)


def _directory(reference: str, path: Path) -> ModelSource:
    config = path / CONFIG_FILE
    if config.is_file():
        source = source_of_config(reference, load_config_file(config), str(config))
    elif holds_model(path):
        source = _without_config(reference)
    else:
        raise no_model_in(path)
    return replace(
        source,
        origin="directory",
        directory=path,
        base_model=str(path.absolute()),  # adapters are read from elsewhere too
        tensor_reader=cache(lambda: read_checkpoint(path)),
    )


def _config(reference: str, path: Path) -> ModelSource:
    config = load_config_file(path)
    source = source_of_config(reference, config, str(path))
    if source.model_type is None and not config.get("architectures"):
        raise ModelConfigError(
            f"{path} states neither model_type nor architectures, so it is no model's config.",
            "Name a model's config.json.",
        )
    return replace(
        source, directory=path.parent, tensor_reader=cache(lambda: read_checkpoint(path.parent))
    )


def _safetensors(reference: str, path: Path) -> ModelSource:
    """A bare safetensors file, with the config beside it if there is one."""
    config = path.parent / CONFIG_FILE
    if config.is_file():
        source = source_of_config(reference, load_config_file(config), str(config))
    else:
        source = _without_config(reference)
    return replace(
        source,
        origin="directory",
        directory=path.parent,
        tensor_reader=cache(lambda: read_safetensors(path)),
    )


def _without_config(reference: str) -> ModelSource:
    note = f"There is no {CONFIG_FILE} beside the checkpoint: only its tensors are known."
    return ModelSource(reference, "directory", None, None, notes=(note,))


def no_model_in(directory: Path) -> ModelReferenceError:
    """Return the error that says what a directory lacks to be a model's."""
    return ModelReferenceError(
        f"The directory {directory} has no {CONFIG_FILE}, no {ADAPTER_FILE} and no safetensors.",
        _other_files(directory),
    )


def _other_files(path: Path) -> str:
    """Say what to name instead, from what the directory holds."""
    try:
        found = sorted(each.name for each in path.iterdir() if each.suffix == ".gguf")
    except OSError:
        found = []
    if found:
        return f"It holds a GGUF file, which can be named itself: {path / found[0]}"
    return "Name the directory that holds the model's config.json, or the file itself."


def _starts_with(path: Path, magic: bytes) -> bool:
    try:
        with open_regular(path) as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False
