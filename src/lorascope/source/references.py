"""Tell the kinds of model reference apart by their form alone, without disk or network."""

from __future__ import annotations

import re
from typing import NamedTuple

_HUB_URL = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[^/]+/[^/]+)"
    r"(?:/(?:tree|blob|resolve)/(?P<revision>[^/]+)(?:/.*)?)?/?"
)
_HUB_ID = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_FILE_ENDINGS = (".json", ".gguf", ".safetensors", ".bin", ".pt", ".pth")


class HubName(NamedTuple):
    """A repository of the Hub and a revision in it."""

    repo_id: str
    revision: str | None
    """Branch, tag or commit; None means the default branch."""


def hub_name(reference: str) -> HubName | None:
    """Read `owner/name`, `owner/name@revision`, `name@revision` or a huggingface.co address.

    Returns:
        The repository and revision, or None if `reference` has another form.
    """
    address = _HUB_URL.fullmatch(reference)
    if address is not None:
        return HubName(address["id"], address["revision"])
    repo_id, at, revision = reference.partition("@")
    if _HUB_ID.fullmatch(repo_id) or (at and _WORD.fullmatch(repo_id)):
        if looks_like_path(repo_id) or (at and not revision):
            return None
        return HubName(repo_id, revision or None)
    return None


def is_word(reference: str) -> bool:
    """Whether it has the form of a model type or of an example's name."""
    return _WORD.fullmatch(reference) is not None and not looks_like_path(reference)


def looks_like_path(reference: str) -> bool:
    """Whether it can only mean a path: `./x`, `~/x`, `/x`, `x/`, `a/b/c`, `x.json`."""
    return (
        reference.startswith((".", "/", "~"))
        or reference.endswith(("/", *_FILE_ENDINGS))
        or reference.count("/") > 1
        or "\\" in reference
    )
