"""What an inventory depends on, as one file name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lorascope._version import __version__
from lorascope.source.model_source import ModelSource
from lorascope.source.versions import installed_version

_LIBRARIES = ("transformers", "torch", "peft")
_OWN_PARTS = ("core", "matching", "source", "roles", "build")
"""Parts of lorascope that shape an inventory."""


def cache_key(source: ModelSource, task_type: str | None, trust_remote_code: bool) -> str:
    """Return the key of the inventory that `source` gives: 40 hexadecimal digits.

    It covers the config's content, the class asked, the repository's code where that may run, and
    the versions of lorascope and its libraries. What a reference is called is no part of it: who
    loads an entry says that anew. Nor is a checkpoint: what is read off one is not kept.
    """
    facts = {
        "config": source.config,
        "model_type": source.model_type,
        "task_type": task_type,
        "code": _code(source) if trust_remote_code else None,
        "versions": {name: installed_version(name) for name in _LIBRARIES},
        "lorascope": [__version__, _own_stamp()],
    }
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _code(source: ModelSource) -> list[object]:
    """What tells the code of one repository from another's: a config may be the same in both."""
    local = [] if source.directory is None else sorted(_python_files(source.directory))
    return [source.base_model, source.revision, local]


def _python_files(folder: Path) -> list[tuple[str, int, int]]:
    try:
        return [stamp for stamp in _stamps(folder, deep=False) if stamp[0].endswith(".py")]
    except OSError:
        return []


@cache
def _own_stamp() -> str:
    """Size and time of lorascope's own files: a changed checkout keeps its version."""
    package = Path(__file__).parent.parent
    found = sorted(stamp for part in _OWN_PARTS for stamp in _stamps(package / part))
    return hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest()


def _stamps(folder: Path, *, deep: bool = True) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of the files in a folder, and in those below it if `deep`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if deep and entry.name != "__pycache__":
                    yield from _stamps(Path(entry.path))
            else:
                status = entry.stat()
                yield entry.name, status.st_size, status.st_mtime_ns
