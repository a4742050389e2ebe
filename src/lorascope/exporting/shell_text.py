"""Write a draft as a command of a shell script, one option a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.formats.shell_options import option_words

_BREAK = " \\\n  "


def shell_text(command: str, options: Mapping[str, Any], comment: str) -> str:
    """Return a command with a comment before it."""
    flags = (" ".join(option_words(*each)) for each in options.items())
    return f"{comment}\n{_BREAK.join((command, *flags))}\n"
