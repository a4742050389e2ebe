"""What an inventory depends on, as one file name."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from lorascope._version import __version__
from lorascope.source.model_source import ModelSource
from lorascope.source.versions import installed_version

_LIBRARIES = ("transformers", "torch", "peft")
_OWN_PARTS = ("core", "matching", "source", "roles", "build", "observe")
"""Parts of lorascope that shape an inventory."""


def cache_key(source: ModelSource, task_type: str | None, trust_remote_code: bool) -> str:
    """Return the key of the inventory that `source` gives: two hexadecimal numbers and a dash.

    The first covers the config's content, the class asked, the repository's code where that may
    run, and lorascope itself; the second the versions of the libraries. What a reference is called
    is no part of it: who loads an entry says that anew. Nor is a checkpoint: what is read off one
    is not kept.
    """
    facts = {
        "config": source.config,
        "model_type": source.model_type,
        "task_type": task_type,
        "code": _code(source) if trust_remote_code else None,
        "lorascope": [__version__, _own_stamp()],
    }
    versions = {name: installed_version(name) for name in _LIBRARIES}
    return f"{_digest(facts)}-{_digest(versions)}"


def _digest(facts: object) -> str:
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _code(source: ModelSource) -> list[object]:
    """What tells the code of one repository from another's: a config may be the same in both."""
    local = [] if source.directory is None else sorted(_python_files(source.directory))
    return [source.base_model, source.revision, local]


def _python_files(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of the code in a folder."""
    try:
        found = [(path.name, path.stat()) for path in folder.glob("*.py")]
    except OSError:
        return []
    return [(name, status.st_size, status.st_mtime_ns) for name, status in found]


@cache
def _own_stamp() -> str:
    """Digest of lorascope's own files: a changed checkout keeps its version.

    By content, not by time: the same release has other times in every environment.
    """
    digest = hashlib.blake2b(digest_size=8)
    package = Path(__file__).parent.parent
    for part in _OWN_PARTS:
        for path in sorted((package / part).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
