"""Which libraries are installed, told without importing them."""

from __future__ import annotations

import importlib.util


def missing_of(*names: str) -> list[str]:
    """Return those of `names` that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def installed_peft() -> str:
    """Return the PEFT release whose behaviour answers follow: the installed, else the newest."""
    from lorascope.matching import NEWEST
    from lorascope.source.versions import installed_version

    return installed_version("peft") or NEWEST
