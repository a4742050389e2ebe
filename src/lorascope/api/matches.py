"""`lorascope.match`: what a LoRA configuration hits in a model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorascope.api.inspecting import inventory_for
from lorascope.api.libraries import installed_peft
from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.source.config_file import load_config_file
from lorascope.source.local import ADAPTER_FILE

if TYPE_CHECKING:
    from torch import nn

    from lorascope.matching.result import Match


def match(
    config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any,
    model: str | os.PathLike[str] | nn.Module | Inventory,
) -> Match:
    """Say what a LoRA configuration hits in a model, entry by entry, as PEFT would have it.

    Args:
        config: A `LoraSpec`, a `peft.LoraConfig`, a mapping of its fields, or the path of an
            `adapter_config.json` or of the directory that holds one.
        model: An inventory, or what `inspect` takes.

    Raises:
        SpecificationError: PEFT itself would refuse the configuration.
    """
    from lorascope.matching import match as select

    return select(inventory_for(model), read_spec(config), peft_version=installed_peft())


def read_spec(config: Mapping[str, Any] | str | os.PathLike[str] | LoraSpec | Any) -> LoraSpec:
    """Read a LoRA configuration in any of the forms that `match` takes."""
    if isinstance(config, LoraSpec):
        return config
    if isinstance(config, Mapping):
        return LoraSpec.from_dict(config)
    if isinstance(config, (str, os.PathLike)):
        path = Path(config)
        with contextlib.suppress(OSError):  # a name that the file system cannot hold
            path = path / ADAPTER_FILE if path.is_dir() else path
        return LoraSpec.from_dict(load_config_file(path), where=str(path))
    if hasattr(config, "to_dict"):
        return LoraSpec.from_dict(config.to_dict(), where=type(config).__name__)
    raise SpecificationError(
        f"A LoRA configuration cannot be read from {type(config).__name__}.",
        "Give a mapping, a peft.LoraConfig or the path of an adapter_config.json.",
    )
