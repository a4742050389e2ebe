"""Inventories kept between runs. Whatever is wrong with the cache, the work goes on without it."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from lorascope.core.errors import printable
from lorascope.core.inventory import Inventory
from lorascope.source.cache_key import cache_key
from lorascope.source.inventory_codec import decode, encode
from lorascope.source.regular_file import open_regular
from lorascope.source.replace_file import replace_file

__all__ = ["Cache", "cache_directory", "cache_key"]

FORMAT = b"lorascope inventory 2"
"""First words of an entry; the number changes with the layout of what follows."""
LARGEST_ENTRY = 50_000_000
"""Bytes; larger entries are neither written nor read."""
MOST_ENTRIES = 256
"""When there are more, the ones written longest ago are removed."""
_ENDING = ".inventory"
_ABANDONED = 3_600
"""Seconds after which another process's temporary file counts as left behind."""


class Cache:
    """A directory of entries, one file a key.

    An entry is one line (format, key, digest of the rest) and the encoded inventory. An entry
    that is damaged, of another format or of another key reads as absent, and the next `store`
    replaces it. Processes may write the same entry at once.

    Attributes:
        directory: Where the entries are, or None to work without a cache.
        problem: Why the cache did not work the last time, or None; never raised.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.problem: str | None = None

    @classmethod
    def default(cls) -> Cache:
        """Return the user's cache; see `cache_directory`."""
        return cls(cache_directory(os.environ))

    def load(self, key: str) -> Inventory | None:
        """Return the inventory stored under `key`, or None if there is no sound one."""
        return None if self.directory is None else self._read(self._path(self.directory, key))

    def load_of_any_version(self, key: str) -> Inventory | None:
        """Return what is stored for the same config, whichever library versions made it.

        The entry written last is taken. It serves where the libraries are not installed.
        """
        if self.directory is None:
            return None
        content = key.partition("-")[0]
        try:
            paths = sorted(
                self.directory.glob(f"{content}-*{_ENDING}"),
                key=lambda path: path.stat().st_mtime,
                reverse=True,
            )
        except OSError as error:
            self._note("cannot be read", error)
            return None
        return next((found for path in paths if (found := self._read(path)) is not None), None)

    def has(self, key: str) -> bool:
        """Whether anything is stored under `key`, sound or not."""
        return self.directory is not None and self._path(self.directory, key).is_file()

    def is_writable(self) -> bool:
        """Whether `store` may keep what it is given, as far as permissions tell."""
        if self.directory is None:
            return False
        folders = (self.directory, *self.directory.parents)
        try:
            nearest = next((each for each in folders if each.exists()), None)
        except OSError:  # a directory that may not be looked into
            return False
        return nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)

    def _read(self, path: Path) -> Inventory | None:
        try:
            with open_regular(path) as file:
                content = file.read(LARGEST_ENTRY + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note("cannot be read", error)
            return None
        first, _, body = content.partition(b"\n")
        key = path.name.removesuffix(_ENDING)
        if len(content) > LARGEST_ENTRY or first != _first_line(key, body):
            return None
        try:
            return decode(body)
        except ValueError:
            return None

    def store(self, key: str, inventory: Inventory) -> None:
        """Keep `inventory` under `key`, if the cache can be written."""
        if self.directory is None:
            return
        body = encode(inventory)
        content = _first_line(key, body) + b"\n" + body
        if len(content) > LARGEST_ENTRY:
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            replace_file(self._path(self.directory, key), content)
            _trim(self.directory)
        except OSError as error:
            self._note("cannot be written", error)

    @staticmethod
    def _path(directory: Path, key: str) -> Path:
        return directory / f"{key}{_ENDING}"

    def _note(self, what: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.problem = printable(f"The cache {self.directory} {what}: {reason}.", limit=500)


def cache_directory(environment: Mapping[str, str]) -> Path | None:
    """Return where the cache is, without making it.

    LORASCOPE_CACHE if set (empty: no cache), else `lorascope` in XDG_CACHE_HOME, on Windows in
    LOCALAPPDATA, else in `~/.cache`. None if there is no home
    directory either, or not the one that LORASCOPE_CACHE names.
    """
    stated = environment.get("LORASCOPE_CACHE")
    if stated is not None:
        return _expanded(stated) if stated else None
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA") if os.name == "nt" else ("XDG_CACHE_HOME",):
        base = environment.get(variable)
        if base and Path(base).is_absolute():  # a relative one is to be ignored, says XDG
            return Path(base) / "lorascope"
    try:
        return Path.home() / ".cache" / "lorascope"
    except RuntimeError:
        return None


def _expanded(stated: str) -> Path | None:
    try:
        return Path(stated).expanduser()
    except RuntimeError:  # `~name` of a user who has no home
        return None


def _first_line(key: str, body: bytes) -> bytes:
    digest = hashlib.blake2b(body, digest_size=16).hexdigest()
    return b" ".join((FORMAT, key.encode(), digest.encode()))


def _trim(directory: Path) -> None:
    """Remove the oldest entries over the cap, and what a killed process left behind."""
    entries: list[tuple[float, Path]] = []
    for path in directory.iterdir():
        try:
            written = path.stat().st_mtime
        except FileNotFoundError:  # another process was quicker
            continue
        if path.name.endswith(_ENDING):
            entries.append((written, path))
        elif f"{_ENDING}." in path.name and time.time() - written > _ABANDONED:
            path.unlink(missing_ok=True)
    for _, path in sorted(entries)[: max(0, len(entries) - MOST_ENTRIES)]:
        path.unlink(missing_ok=True)
