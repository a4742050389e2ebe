"""Full names of modules and parameters: parts joined by dots, the root's being empty."""

from __future__ import annotations


def joined(path: str, name: str) -> str:
    """Return the full name of `name` inside the module at `path` (`""` is the root)."""
    return f"{path}.{name}" if path else name


def parent_path(path: str) -> str:
    """Return the path of what holds `path`; the root's parent is the root."""
    return path.rpartition(".")[0]
