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
_CHECKPOINT_ENDINGS = (".safetensors", ".safetensors.index.json", ".gguf")
_OWN_PARTS = ("core", "matching", "source", "roles", "build")
"""Parts of lorascope that shape an inventory."""


def cache_key(source: ModelSource, task_type: str | None, trust_remote_code: bool) -> str:
    """Return the key of the inventory that `source` gives: 40 hexadecimal digits.

    It covers the config's content, the class asked, the checkpoint where one may be read instead
    of a config, and the versions of lorascope and its libraries. What a reference is called is no
    part of it: who loads an entry says that anew.
    """
    facts = {
        "config": source.config,
        "model_type": source.model_type,
        "checkpoint": _checkpoint_stamp(source),
        "task_type": task_type,
        "trust_remote_code": trust_remote_code,
        "versions": {name: installed_version(name) for name in _LIBRARIES},
        "lorascope": [__version__, _own_stamp()],
    }
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _checkpoint_stamp(source: ModelSource) -> list[tuple[str, int, int]]:
    """Name, size and time of the local files whose headers may be read."""
    if source.directory is None:
        return []
    try:
        with os.scandir(source.directory) as entries:
            return sorted(
                (entry.name, status.st_size, status.st_mtime_ns)
                for entry in entries
                if entry.name.endswith(_CHECKPOINT_ENDINGS) and (status := entry.stat())
            )
    except OSError:
        return []


@cache
def _own_stamp() -> str:
    """Size and time of lorascope's own files: a changed checkout keeps its version."""
    package = Path(__file__).parent.parent
    found = sorted(stamp for part in _OWN_PARTS for stamp in _stamps(package / part))
    return hashlib.blake2b(repr(found).encode(), digest_size=8).hexdigest()


def _stamps(folder: Path) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _stamps(Path(entry.path))
            else:
                status = entry.stat()
                yield entry.name, status.st_size, status.st_mtime_ns
