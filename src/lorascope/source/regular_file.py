"""Open files that nobody vouches for, without ever waiting for one."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a named pipe would wait for a writer
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)  # Windows
    | getattr(os, "O_CLOEXEC", 0)
)


def open_regular(path: Path) -> BinaryIO:
    """Open `path` for reading if it is a regular file (or leads to one).

    The kind is asked of the opened file, so that the path cannot become another thing meanwhile.

    Raises:
        OSError: It cannot be opened, or is a directory, a pipe, a device or a socket.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a null or a lone surrogate, which no file's name has
        raise OSError(0, "no file has such a name", str(path)) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    what = "a directory; expected a file" if stat.S_ISDIR(mode) else "not a regular file"
    raise OSError(0, f"it is {what}", str(path))
