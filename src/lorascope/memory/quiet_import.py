"""Keep from the user what bitsandbytes logs when PEFT imports it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def without_kernel_warning() -> Iterator[None]:
    """Hide that kernels for a CPU are missing: nothing is computed here.

    Where bitsandbytes is installed, `import peft` imports it.
    """
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
