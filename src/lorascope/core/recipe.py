"""A LoRA configuration as somebody wrote it for one tool, in PEFT's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Tool(StrEnum):
    """Whose file it is. The values are the words of `--format` and of the JSON output."""

    PEFT = "peft"
    AXOLOTL = "axolotl"
    LLAMAFACTORY = "llamafactory"
    MS_SWIFT = "ms-swift"
    TRL = "trl"
    TORCHTUNE = "torchtune"
    MLX_LM = "mlx-lm"

    @property
    def own_name(self) -> str:
        """Name in a sentence, as the tool writes it."""
        return _OWN_NAMES.get(self.value, self.value)


_OWN_NAMES = {"peft": "PEFT", "axolotl": "Axolotl", "llamafactory": "LLaMA-Factory", "trl": "TRL"}
"""Where it is not the value itself."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something stands in a text."""

    start: int
    """Offset of its first character."""
    end: int
    """Offset after its last character."""
    line: int
    """Line of its first character, from 1 on."""
    column: int
    """Column of its first character, from 1 on."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a configuration, under PEFT's field names."""

    field: str
    entry: str | None
    """What is replaced: one entry of the field's list; None for the whole value."""
    value: Any
    """What stands there instead: a tuple of entries for one entry (empty to remove it), the new
    value for a whole field."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One LoRA configuration of one file, command or mapping.

    `stated` is what the user wrote, put under PEFT's field names and in PEFT's types, before the
    tool does anything of its own with it that depends on the model.
    """

    tool: Tool
    origin: str
    """Path as the user named it; `standard input`; what was given, for anything else."""
    stated: Mapping[str, Any]
    """PEFT's field → value. A list keeps the user's order and spelling."""
    base_model: str | None = None
    """As the file names it; None if it does not."""
    revision: str | None = None
    """Of the base model; None for the default branch."""
    key_of: Mapping[str, str] = field(default_factory=dict)
    """PEFT's field → the key or flag that the file says it with, for messages."""
    spots: Mapping[tuple[str, str | None], Spot] = field(default_factory=dict)
    """(PEFT's field, entry) → where that entry stands; (field, None) → where its value stands.
    Unknown keys and the tool's own settings are under ("", key). Empty for what has no text."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The tool's own settings that change what is adapted, under the tool's own names."""
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys that the tool would ignore or refuse → the keys that may be meant, the nearest first.
    Only keys of the LoRA part, and those near to one of its keys."""
    name: str = ""
    """Which of several configurations of one file, for example `line 12`; empty for the only
    one."""

    def key(self, peft_field: str) -> str:
        """Return what the file calls one of PEFT's fields."""
        return self.key_of.get(peft_field, peft_field)

    def spot(self, peft_field: str, entry: str | None = None) -> Spot | None:
        """Return where an entry stands, or else the value of its field; None if not in a text."""
        return self.spots.get((peft_field, entry)) or self.spots.get((peft_field, None))
