"""What is told of one tool that a configuration can be written for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lorascope.core.export import Form, Loss, Trainer
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching.configured import At, Configured


@dataclass(frozen=True, slots=True)
class Draft:
    """One way to say, in a tool's words, what is wanted."""

    document: Mapping[str, Any]
    """Keys of the tool's file (nested where the file is), or its flags or arguments, in the order
    in which they are to stand."""
    losses: tuple[Loss, ...] = ()
    """What else than targets, ranks and scales it does not say: those are found by `adapts`."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool makes of a draft."""

    adapted: Mapping[str, At]
    """Path of a module or parameter in the base model as transformers names it → how."""
    saved: frozenset[str] = field(default_factory=frozenset)
    """Paths of modules that it trains whole."""
    spec: LoraSpec | None = None
    """What it asks for beside; whatever differs in it is a loss. None where `Draft.losses` says."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A file of the tool's that holds a draft."""

    text: str
    outcome: Outcome
    """What the tool makes of the whole file."""
    notes: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    """What the file leaves open, beside what `outcome` shows."""


@dataclass(frozen=True, slots=True)
class FileBase:
    """The base model that a file names."""

    name: str
    """Path or Hub id."""
    origin: str
    """Path of the file as the user named it."""
    revision: str | None
    """Of a Hub id; None for the default branch."""
    task_type: str | None
    """PEFT task type of the configuration."""


ReadBase = Callable[[FileBase], Inventory]
"""Reads the base model of a file; raises `LorascopeError` where it cannot."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """One tool. All that is said of a tool is data and these three functions."""

    to: Trainer
    version: str
    """Release whose source was read, or whose code parsed what was written."""
    form: Form
    file_name: str
    drafts: Callable[[Configured], Iterator[Draft]]
    """Ways to say what is wanted, the most readable first; at least one, which may lose something.

    Raises `ExportError` where the tool cannot train the model at all."""
    adapts: Callable[[Draft, Configured], Outcome]
    """What the tool then does to the model. For a tool that `lorascope.formats` reads, by reading
    the written text back; so that an error of `drafts` is not repeated here."""
    write: Callable[[Draft, Configured], str]
    """The text, ending with a line break."""
    merge: Callable[[Draft, Configured, str, str, ReadBase], Merged] | None = None
    """(draft, wanted, text of a file, its name, reads its base model) → the file with the
    draft in it; None for a tool whose files are not changed.

    Raises `ExportError` where the file is another tool's, or written in a way that is not
    changed."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """`Loss.what` → why the tool cannot say it, or what to do; for losses that `adapts` shows. A
    module's own name, or `target_parameters`, is for targets that are all called so, or are all
    parameters of experts."""
    has_heads: bool = False
    """Whether it trains other heads than a language model's; its drafts tell of those that it does
    not."""
    has_dropout: bool = True
