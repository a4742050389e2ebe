"""Write a file whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` in place in one step, with the mode of any new file.

    It goes to a temporary file beside `path` (hidden, named after it) that is then renamed, so
    that processes may write the same file at once. Nothing is left behind if that fails.

    Raises:
        OSError: As the system has it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
