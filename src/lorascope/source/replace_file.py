"""Write a file whole or not at all."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path


def replace_file(path: Path, content: bytes, *, keep_mode: bool = False) -> None:
    """Put `content` in place in one step, with the mode of any new file, or of the one replaced.

    It goes to a temporary file beside `path` (hidden, named after it) that is then renamed, so
    that processes may write the same file at once. Nothing is left behind if that fails.

    Raises:
        OSError: As the system has it.
    """
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
