"""A GGUF file as a model source."""

from __future__ import annotations

from pathlib import Path

from lorascope.source.config_check import check_config
from lorascope.source.gguf_config import config_of_gguf
from lorascope.source.gguf_header import read_gguf
from lorascope.source.model_source import ModelSource


def gguf_source(reference: str, path: Path) -> ModelSource:
    """Read the header of the GGUF file at `path` and derive a config from it.

    Raises:
        ModelReferenceError: The file cannot be read.
        ModelConfigError: The header is malformed, or asks for impossible sizes.
    """
    header = read_gguf(path)
    derived = config_of_gguf(header, str(path))
    if derived.config is not None:
        check_config(derived.config, str(path))
    return ModelSource(
        reference,
        "gguf",
        derived.config,
        derived.model_type,
        directory=path.parent,
        notes=derived.notes,
        gguf_architecture=derived.architecture,
        tensor_reader=lambda: header.tensors,
    )
