"""How a model is run: on which copy, with which implementation of attention and experts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from lorascope.build import confined
from lorascope.observe.known_values import known_values
from lorascope.observe.twin import experts_implementation, hollow_twin, meta_twin

__all__ = ["ATTEMPTS", "IMPLEMENTATION", "configs_of", "experts_implementation", "quiet"]

IMPLEMENTATION = "lorascope"
"""Name under which the watching attention function is registered with transformers."""

ATTEMPTS = (
    (meta_twin, "meta", IMPLEMENTATION),
    (meta_twin, "meta", "eager"),
    (hollow_twin, "cpu", IMPLEMENTATION),
    (hollow_twin, "cpu", "eager"),
)
"""How the copy is made, where it lies and which attention it runs, the quickest way first."""


def configs_of(model: nn.Module) -> Iterator[Any]:
    """Yield every config within `model` that chooses an implementation of attention, once."""
    seen: set[int] = set()
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is None or id(config) in seen:
            continue
        seen.add(id(config))
        if hasattr(config, "_attn_implementation_internal"):
            yield config


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run a copy on `known_values`: nothing is printed, fetched or run that is not installed."""
    with confined.quiet(), confined.without_repository_code(), known_values():
        yield
