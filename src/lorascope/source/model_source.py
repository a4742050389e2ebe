"""Where a model comes from, and what it states of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lorascope.core.stored import StoredTensor

Origin = Literal["hub", "directory", "config", "gguf", "model_type", "example"]
"""Which kind of reference the user gave."""

TensorReader = Callable[[], tuple[StoredTensor, ...] | None]
"""Reads the checkpoint's headers when called; returns None if there is no checkpoint."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A resolved model reference: its config as stated, and where that was found."""

    reference: str
    """As the user gave it, without the revision."""
    origin: Origin
    config: Mapping[str, Any] | None
    """The config as stated, old spellings kept; None if only a model type was given."""
    model_type: str | None
    """The config's `model_type`; None if the config does not state one."""
    revision: str | None = None
    """The Hub revision asked for; None means the default branch, or no Hub at all."""
    base_model: str | None = None
    """The Hub id or directory with the weights: for an adapter its `base_model_name_or_path`,
    for a Hub reference or a built-in example the Hub id. None if not known."""
    directory: Path | None = None
    """Local directory with the config (and perhaps the checkpoint); None if there is none."""
    is_default_config: bool = False
    """True if only a model type was given, so that all sizes are its class's defaults."""
    notes: tuple[str, ...] = ()
    """What a reader must know about how the reference was read, each one sentence."""
    gguf_architecture: str | None = None
    """GGUF's `general.architecture`; None for anything but a GGUF file."""
    tensor_reader: TensorReader | None = field(default=None, repr=False, compare=False)
    """How to read the checkpoint's headers; None if no checkpoint is at hand."""

    def tensors(self) -> tuple[StoredTensor, ...] | None:
        """Read the checkpoint's tensor headers, from disk or from the Hub, once.

        Returns:
            All tensors in checkpoint order, or None if there is no checkpoint at hand.

        Raises:
            ModelConfigError: A header is malformed or lies about its length.
            ModelReferenceError: The Hub cannot be reached or refuses.
        """
        return None if self.tensor_reader is None else self.tensor_reader()
