"""Fetch small files from the Hugging Face Hub, and say clearly why one cannot be had.

`huggingface_hub` does the work: its cache, `HF_TOKEN`, `HF_HUB_OFFLINE`, `HF_ENDPOINT`. It is
imported when first needed (0.2 s).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from lorascope.core.errors import ModelConfigError, ModelReferenceError
from lorascope.source.config_file import LARGEST_CONFIG
from lorascope.source.examples import example_of_hub_id
from lorascope.source.hub_settings import clear_settings_errors, without_token
from lorascope.source.references import HubName

TIMEOUT = 10.0
"""Seconds to wait for the Hub to answer, unless HF_HUB_ETAG_TIMEOUT says otherwise."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class NotCachedError(ModelReferenceError):
    """The Hub may not be asked, and the file is not in the local cache."""


def fetch_file(name: HubName, filename: str, *, offline: bool) -> Path | None:
    """Return the local path of one file of a repository, fetched if need be.

    The Hub is asked once before the download, because `hf_hub_download` itself retries for up to
    a minute and a half when nobody answers. If it does not answer, a cached file serves.

    Args:
        name: Repository and revision.
        filename: Name inside the repository.
        offline: Look only into the local cache.

    Returns:
        A path inside huggingface_hub's cache, or None if the repository has no such file.

    Raises:
        NotCachedError: Offline, and the file is not in the cache.
        ModelReferenceError: The repository or revision is absent, gated or out of reach, or a
            setting of huggingface_hub is wrong.
        ModelConfigError: The file is too large to be a config.
    """
    with clear_settings_errors(_shown(name)):
        return _fetched_file(name, filename, offline=offline)


def _fetched_file(name: HubName, filename: str, *, offline: bool) -> Path | None:
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    offline = offline or HF_HUB_OFFLINE
    try:
        if offline or (name.revision and _COMMIT.fullmatch(name.revision)):
            cached = cached_file(name, filename)
            if cached is not None or offline:
                return cached or _refuse(name, filename)
        with quiet_hub():
            return _download(name, filename)
    except LocalEntryNotFoundError as error:
        raise hub_error(name, error.__cause__ or error) from error
    except EntryNotFoundError:
        return None
    except hub_errors() as error:
        cached = cached_file(name, filename) if _may_pass(error) else None
        if cached is None:
            raise hub_error(name, error) from error
        return cached


def cached_file(name: HubName, filename: str) -> Path | None:
    """Return the path of a file in huggingface_hub's cache, or None if it is not there."""
    with clear_settings_errors(_shown(name)):
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.file_download import try_to_load_from_cache

        try:
            path = try_to_load_from_cache(name.repo_id, filename, revision=name.revision)
        except HFValidationError as error:  # a ValueError, and no matter of settings
            raise hub_error(name, error) from error
    return Path(path) if isinstance(path, str) else None


def _download(name: HubName, filename: str) -> Path:
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
    from huggingface_hub.file_download import get_hf_file_metadata, hf_hub_download, hf_hub_url

    timeout = HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else TIMEOUT
    url = hf_hub_url(name.repo_id, filename, revision=name.revision)
    size = get_hf_file_metadata(url, timeout=timeout).size
    if size is not None and size > LARGEST_CONFIG:
        raise ModelConfigError(
            f"{filename} of {_shown(name)} has {size:,} bytes; expected at most {LARGEST_CONFIG:,}."
        )
    path = hf_hub_download(name.repo_id, filename, revision=name.revision, etag_timeout=timeout)
    return Path(path)


def _may_pass(error: BaseException) -> bool:
    """Whether a cached file may stand in: not if the Hub knows no such thing."""
    from huggingface_hub.errors import HFValidationError, RevisionNotFoundError

    return not isinstance(error, (HFValidationError, RevisionNotFoundError))


def hub_error(name: HubName, error: BaseException) -> ModelReferenceError:
    """Put one of huggingface_hub's errors into one clear message."""
    from huggingface_hub import errors

    shown = _shown(name)
    if isinstance(error, errors.HFValidationError):
        return ModelReferenceError(
            f"{shown} is not a valid Hub id, nor a path that exists.",
            "A Hub id has the form owner/name, of letters, digits, single '-', '_' and '.'.",
        )
    if isinstance(error, errors.GatedRepoError):
        return ModelReferenceError(
            f"{shown} is gated: the Hub shows it only to those who were granted access.",
            f"Ask for access at https://huggingface.co/{name.repo_id}, then run `hf auth login`"
            f" or set HF_TOKEN.{_example_hint(name)}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelReferenceError(
            f"The Hub repository {name.repo_id} has no revision {name.revision!r}.",
            "Name an existing branch, tag or commit after the @.",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelReferenceError(
            f"The Hub has no public repository {name.repo_id}.",
            "Check the spelling; if it is private, run `hf auth login` or set HF_TOKEN."
            f"{_example_hint(name)}",
        )
    if isinstance(error, errors.DisabledRepoError):
        return ModelReferenceError(f"The Hub has disabled access to {name.repo_id}.")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return ModelReferenceError(
            f"The Hub refused the token it was sent for {shown} (401).",
            "Run `hf auth login` again, or mend or unset HF_TOKEN.",
        )
    if status is not None:
        return ModelReferenceError(
            f"The Hub answered {status} for {shown}.", f"Try again later.{_example_hint(name)}"
        )
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return ModelReferenceError(
            f"{shown} could not be fetched from the Hub: {error.strerror or _first_line(error)}.",
            f"Use --offline with what is cached.{_example_hint(name)}",
        )
    return ModelReferenceError(
        f"The Hub cannot be reached for {shown}, and it is not in the local cache"
        f" ({_first_line(error)}).",
        "Check the connection, or name a local directory, a config.json or a built-in example"
        f" (`lorascope models`).{_example_hint(name)}",
    )


def _refuse(name: HubName, filename: str) -> NoReturn:
    raise NotCachedError(
        f"{filename} of {_shown(name)} is not in the local Hub cache, and the Hub may not be"
        " asked (--offline or HF_HUB_OFFLINE).",
        f"Fetch it once online, or name a built-in example (`lorascope models`)."
        f"{_example_hint(name)}",
    )


def _example_hint(name: HubName) -> str:
    example = example_of_hub_id(name.repo_id)
    return "" if example is None else f" A built-in example has its figures: {example.name}"


def _shown(name: HubName) -> str:
    return name.repo_id if name.revision is None else f"{name.repo_id}@{name.revision}"


def _first_line(error: BaseException) -> str:
    return without_token((str(error).strip().splitlines() or [type(error).__name__])[0])


def hub_errors() -> tuple[type[BaseException], ...]:
    """What huggingface_hub raises. Its HTTP client's own errors share a base with its own."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    return (HfHubHTTPError, *HfHubHTTPError.__bases__, HFValidationError, OSError)


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep progress bars and retry warnings of huggingface_hub off the terminal meanwhile."""
    import logging

    from huggingface_hub.constants import HF_HUB_DISABLE_PROGRESS_BARS
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    # With the environment variable set, the user has decided, and the calls below would warn.
    ours = HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled()
    logger.setLevel(logging.ERROR)
    if ours:
        disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if ours:
            enable_progress_bars()
