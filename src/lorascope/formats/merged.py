"""What is to be put into a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Merge:
    """Keys to set in a tool's file, and keys to take out."""

    values: Mapping[str, Any]
    """Key → value, in the order in which new ones are to stand; a section is a mapping."""
    owned: frozenset[str]
    """Keys that are taken out where `values` does not set them; `section.key` inside of one."""
    kept: Mapping[str, frozenset[Any] | None] = field(default_factory=dict)
    """Keys of `values` that stay as the file has them, where it has one of these values; None:
    any."""
    model_key: str = ""
    """Names the base model; a file with it may be the tool's. `section.key` inside of a section."""

    @property
    def sections(self) -> frozenset[str]:
        """Keys whose value is a mapping of further keys."""
        return frozenset(name.partition(".")[0] for name in self.owned if "." in name)

    def owned_in(self, section: str) -> frozenset[str]:
        """Return the keys of a section that are taken out."""
        start = f"{section}."
        return frozenset(n.removeprefix(start) for n in self.owned if n.startswith(start))

    def keeps(self, name: str, value: Any) -> bool:
        """Whether a file's own value of a key stays."""
        if name not in self.kept or value is None:
            return False
        values = self.kept[name]
        return values is None or value in values
