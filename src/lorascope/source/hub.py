"""Fetch small files from the Hugging Face Hub, and say clearly why one cannot be had.

`huggingface_hub` does the work: its cache, `HF_TOKEN`, `HF_HUB_OFFLINE`, `HF_ENDPOINT`. It is
imported when first needed (0.2 s).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorascope.core.errors import ModelReferenceError
from lorascope.source.examples import example_of_hub_id
from lorascope.source.references import HubName

TIMEOUT = 10.0
"""Seconds to wait for the Hub to answer, unless HF_HUB_ETAG_TIMEOUT says otherwise."""


def fetch_file(name: HubName, filename: str, *, offline: bool) -> Path | None:
    """Return the local path of one file of a repository, fetched if need be.

    Args:
        name: Repository and revision.
        filename: Name inside the repository.
        offline: Look only into the local cache.

    Returns:
        A path inside huggingface_hub's cache, or None if the repository has no such file.

    Raises:
        ModelReferenceError: The repository or revision is absent, gated or out of reach.
    """
    from huggingface_hub.constants import HF_HUB_ETAG_TIMEOUT
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    from huggingface_hub.file_download import hf_hub_download

    stated = "HF_HUB_ETAG_TIMEOUT" in os.environ
    try:
        with quiet_hub():
            path = hf_hub_download(
                name.repo_id,
                filename,
                revision=name.revision,
                local_files_only=offline,
                etag_timeout=HF_HUB_ETAG_TIMEOUT if stated else TIMEOUT,
            )
    except LocalEntryNotFoundError as error:
        raise _unreachable(name, filename, error, offline=offline) from error
    except EntryNotFoundError:
        return None
    except hub_errors() as error:
        raise hub_error(name, error) from error
    return Path(path)


def hub_error(name: HubName, error: BaseException) -> ModelReferenceError:
    """Put one of huggingface_hub's errors into one clear message."""
    from huggingface_hub import errors

    shown = _shown(name)
    if isinstance(error, errors.HFValidationError):
        return ModelReferenceError(
            f"{shown} is not a valid Hub id.", "A Hub id has the form owner/name."
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
    if isinstance(error, errors.OfflineModeIsEnabled):
        return _not_cached(name, "config.json")
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
    return ModelReferenceError(
        f"{shown} could not be fetched from the Hub: {_first_line(error)}",
        f"Check the connection, or use --offline with what is cached.{_example_hint(name)}",
    )


def _unreachable(
    name: HubName, filename: str, error: BaseException, *, offline: bool
) -> ModelReferenceError:
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import OfflineModeIsEnabled

    cause = error.__cause__
    if offline or HF_HUB_OFFLINE or isinstance(cause, OfflineModeIsEnabled):
        return _not_cached(name, filename)
    if cause is not None and getattr(cause, "response", None) is not None:
        return hub_error(name, cause)
    reason = "no answer" if cause is None else _first_line(cause)
    return ModelReferenceError(
        f"The Hub cannot be reached for {_shown(name)}, and it is not in the local cache"
        f" ({reason}).",
        "Check the connection, or name a local directory, a config.json or a built-in example"
        f" (`lorascope models`).{_example_hint(name)}",
    )


def _not_cached(name: HubName, filename: str) -> ModelReferenceError:
    return ModelReferenceError(
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
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
