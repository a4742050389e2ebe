"""Write options as the words of a command of a shell script."""

from __future__ import annotations

import shlex
from typing import Any


def option_words(name: str, value: Any) -> list[str]:
    """Return an option as the words of a command, quoted where needed; one that is on has none."""
    flag = f"--{name}"
    if value is True:
        return [flag]
    if isinstance(value, (list, tuple)):
        return [flag, *(shlex.quote(str(each)) for each in value)]
    if isinstance(value, bool):
        return [flag, str(value).lower()]
    return [flag, shlex.quote(str(value))]
