"""A model built, run where that is wanted, and listed with roles: what `inspect` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.build import build_model, inventory_of
from lorascope.build.confined import quiet, without_repository_code
from lorascope.build.meta import inventory_of_source
from lorascope.observe.judged import judged
from lorascope.observe.observation import observe
from lorascope.roles import assign

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import Inventory
    from lorascope.source.model_source import ModelSource

MOST_MODULES = 250
"""Adaptable modules up to which a model is run unasked. Each takes 2 to 5 ms, so that a language
model of that size takes half a second: `benchmarks/run.py` holds `inspect` to a bound."""


def inspect_source(
    source: ModelSource, task_type: str | None, trust_remote_code: bool, wanted: bool | None
) -> Inventory:
    """Build the model that `source` names and list it.

    Args:
        source: The model.
        task_type: PEFT task type that overrides the class the config names.
        trust_remote_code: Whether code of the model's repository may run.
        wanted: Whether to run the model; None: where that is quick.

    Raises:
        RemoteCodeError: As `lorascope.build.build_model`, and so all it raises.
    """
    model = build_model(source, task_type=task_type, trust_remote_code=trust_remote_code)
    return _listed(model, inventory_of_source(model, source), wanted)


def inspect_module(model: nn.Module, wanted: bool | None) -> Inventory:
    """List a model in memory; a copy is run, as `wanted` says for `inspect_source`."""
    return _listed(model, inventory_of(model), wanted)


def is_quick(inventory: Inventory) -> bool:
    """Whether running the model takes so little time that it is done unasked."""
    return sum(1 for _ in inventory.adaptable) <= MOST_MODULES


def _listed(model: nn.Module, inventory: Inventory, wanted: bool | None) -> Inventory:
    if not (is_quick(inventory) if wanted is None else wanted):
        return assign(inventory)
    with quiet(), without_repository_code():
        return assign(inventory, judged(model, observe(model)))
