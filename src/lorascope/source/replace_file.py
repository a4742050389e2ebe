"""Write a file whole or not at all."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")
"""Where links stand for devices and open files, whatever they lead to."""


def replace_file(path: Path, content: bytes, *, keep_mode: bool = False) -> None:
    """Put `content` in place in one step, with the mode of any new file, or of the one replaced.

    It goes to a temporary file beside `path` (hidden, named after it) that is then renamed, so
    that processes may write the same file at once. Nothing is left behind if that fails.

    Raises:
        OSError: There is something else than a regular file, or as the system has it.
    """
    check_replaceable(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        if keep_mode:
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_replaceable(path: Path) -> None:
    """Refuse to read or replace what is there already and is no regular file.

    Raises:
        OSError: It is a directory, a pipe, a device, a socket, or a link to one of these.
    """
    if not os.path.lexists(path):
        return
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # a link to nothing, which can be replaced
        mode = stat.S_IFREG
    # `/dev/stdout` may lead to a file, and is still not to be replaced.
    if not stat.S_ISREG(mode) or (path.is_symlink() and _is_of_system(path.parent.resolve())):
        raise OSError(0, "it is not a regular file", str(path))


def _is_of_system(directory: Path) -> bool:
    return directory == _DEVICES or _PROCESSES in (directory, *directory.parents)
