"""Which model types the installed transformers knows, without importing it (0.7 s)."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_FILES = ("auto_mappings.py", "configuration_auto.py")
"""Where transformers keeps `CONFIG_MAPPING_NAMES`: later releases have a file of its own."""
_ENTRY = re.compile(r'"([A-Za-z0-9_.-]+)"(?:,|:)\s*"(?!Auto)[A-Za-z0-9_]+Config"')


@cache
def known_model_types() -> frozenset[str]:
    """Read the names in `CONFIG_MAPPING_NAMES` off the installed source files.

    Returns:
        The model types, or an empty set if transformers is not installed.
    """
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "models" / "auto"
    names: set[str] = set()
    for name in _FILES:
        try:
            names.update(_ENTRY.findall((folder / name).read_text("utf-8")))
        except OSError:
            continue
    return frozenset(names)
