"""Tensor headers of a safetensors checkpoint on the Hub, fetched only when asked for."""

from __future__ import annotations

from pathlib import Path

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.core.stored import StoredTensor
from lorascope.source.hub import cached_file, hub_error, hub_errors, quiet_hub
from lorascope.source.hub_settings import clear_settings_errors
from lorascope.source.references import HubName
from lorascope.source.safetensors_header import (
    INDEX_FILE,
    SINGLE_FILE,
    read_checkpoint,
)
from lorascope.source.tensors import check_count


def hub_tensors(name: HubName, *, offline: bool) -> tuple[StoredTensor, ...] | None:
    """Return the tensor headers of a repository's safetensors checkpoint.

    A checkpoint in the local cache is read there. Else only the headers are fetched, by
    `HfApi.get_safetensors_metadata`: a few hundred kilobytes a file.

    Returns:
        All tensors, or None if the repository has no safetensors checkpoint (or none is cached
        and the Hub may not be asked).

    Raises:
        ModelReferenceError: The Hub cannot be reached or refuses.
        ModelConfigError: A header is malformed.
    """
    cached = _cached(name)
    if cached is not None:
        try:
            return read_checkpoint(cached)
        except ModelReferenceError:  # the index is cached, but not all of its shards
            pass
    if offline:
        return None
    with clear_settings_errors(name.repo_id):
        return _fetched(name)


def _cached(name: HubName) -> Path | None:
    for filename in (INDEX_FILE, SINGLE_FILE):
        path = cached_file(name, filename)
        if path is not None:
            return path.parent
    return None


def _fetched(name: HubName) -> tuple[StoredTensor, ...] | None:
    from huggingface_hub import constants, errors
    from huggingface_hub.hf_api import HfApi

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        with quiet_hub():
            metadata = HfApi().get_safetensors_metadata(name.repo_id, revision=name.revision)
    except errors.NotASafetensorsRepoError:
        return None
    except errors.SafetensorsParsingError as error:
        raise ModelConfigError(f"A safetensors header of {name.repo_id}: {error}") from error
    except hub_errors() as error:
        raise hub_error(name, error) from error
    check_count(sum(len(each.tensors) for each in metadata.files_metadata.values()), name.repo_id)
    return tuple(
        StoredTensor(tensor, tuple(info.shape), str(info.dtype))
        for file in sorted(metadata.files_metadata)
        for tensor, info in metadata.files_metadata[file].tensors.items()
    )
