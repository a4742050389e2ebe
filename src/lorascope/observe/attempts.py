"""How a model is run: on which copy, with which implementation of attention and experts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from lorascope.build import confined
from lorascope.observe.known_values import known_values
from lorascope.observe.twin import hollow_twin, meta_twin

IMPLEMENTATION = "lorascope"
"""Name under which the watching attention function is registered with transformers."""

ATTEMPTS = (
    (meta_twin, "meta", IMPLEMENTATION),
    (meta_twin, "meta", "eager"),
    (hollow_twin, "cpu", IMPLEMENTATION),
    (hollow_twin, "cpu", "eager"),
)
"""How the copy is made, where it lies and which attention it runs, the quickest way first."""


def experts_implementation(model: nn.Module) -> str:
    """Return which implementation of experts a copy runs with.

    Meta tensors cannot say which experts were chosen; the batched product need not know.
    """
    first = next(model.parameters(), None)
    return "batched_mm" if first is not None and first.device.type == "meta" else "eager"


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
