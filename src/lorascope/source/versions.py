"""Versions of installed packages without importing them."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def installed_version(package: str) -> str | None:
    """Return the version of an installed package, or None if it is not installed.

    Read off the name of its `.dist-info` folder, which takes a millisecond where
    `importlib.metadata` takes forty; that is asked only if there is no such folder (an editable
    install).
    """
    spec = find_spec(package)
    if spec is None:
        return None
    if spec.origin is not None:
        beside = Path(spec.origin).parent.parent
        prefix, ending = f"{package}-", ".dist-info"
        with os.scandir(beside) as entries:
            for entry in entries:
                if entry.name.startswith(prefix) and entry.name.endswith(ending):
                    return entry.name[len(prefix) : -len(ending)]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
