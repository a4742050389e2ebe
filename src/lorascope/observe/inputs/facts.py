"""What a model's class and config say about its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

IMAGE_SIDE = 224
"""Pixels of an image's side where no config states one."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the recipes for inputs look at."""

    model: nn.Module
    names: frozenset[str]
    """Arguments of its forward."""
    required: tuple[str, ...]
    """Those without a default."""
    filled: dict[str, int] = field(default_factory=dict)
    """Fields of the config that are None, and what was put there to make inputs."""

    @property
    def config(self) -> Any:
        """The model's config; None if it has none."""
        return getattr(self.model, "config", None)

    @property
    def dtype(self) -> torch.dtype:
        """Type of its floating-point weights."""
        floats = (p.dtype for p in self.model.parameters() if p.is_floating_point())
        return next(floats, torch.float32)

    def takes(self, *names: str) -> bool:
        """Return whether forward has every one of these arguments."""
        return self.names.issuperset(names)

    def setting(self, *names: str, part: str = "", default: Any = None) -> Any:
        """Return the first value that is set under one of `names`, in the nearest config.

        Args:
            names: Fields that mean the same in different families.
            part: Configs of parts whose name has this in it (`vision`) are asked first.
            default: The answer where none states one.
        """
        configs = sorted(configs_within(self.config), key=lambda found: part not in found[0])
        for name in names:
            for _, config in configs:
                value = getattr(config, name, None)
                if value is not None:
                    return value
        return default


def facts_of(model: nn.Module) -> Facts:
    """Return what `model` says of itself."""
    parameters = inspect.signature(model.forward).parameters.values()
    named = [
        each for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]
    return Facts(
        model,
        frozenset(each.name for each in named),
        tuple(each.name for each in named if each.default is each.empty),
    )


def configs_within(config: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, config) of a config and of those of its parts, the outer ones first."""
    if config is None:
        return
    yield path, config
    for name, value in vars(config).items():
        if hasattr(value, "model_type") and value is not config:
            yield from configs_within(value, f"{path}.{name}".strip("."))


def pair(value: Any) -> tuple[int, int]:
    """Return height and width of a side, a pair or a mapping of both."""
    if isinstance(value, dict):
        return int(value["height"]), int(value["width"])
    if isinstance(value, list | tuple):
        return int(value[0]), int(value[-1])
    return int(value), int(value)
