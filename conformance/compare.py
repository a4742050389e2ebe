"""Run one class and hold what its forward pass shows against what the names say."""

from __future__ import annotations

import copy
import inspect
import re
import time
from collections import Counter

from model_types import Case
from result import IMAGE_AND_TEXT, NOTHING, Difference, Pass, fold
from shorten import shorten
from torch import nn

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory, Module
from lorascope.core.observation import Call, Observation
from lorascope.core.roles import ROUTERS, Role, Tower
from lorascope.observe import observe
from lorascope.roles import assign
from lorascope.roles.agreement import SAME_FLOW, differs

COMPARED = frozenset(role for role in Role if role.group in ("attention", "ffn", "moe")) - {
    Role.ATTENTION_GATE,
    Role.ATTENTION_INDEXER,
    Role.ATTENTION_OTHER,
    Role.ATTENTION_POSITION,
    Role.FFN_OTHER,
    Role.MOE_SHARED_ROUTER,
}
"""Roles that a forward pass must show. The others are what no flow sets apart; where the pass
shows another role for one of them, that counts as a difference all the same."""

_SHOWS_AN_IMAGE = re.compile(r"pixel|image|patches|video")


def compared(case: Case, model: nn.Module) -> tuple[Pass, Observation]:
    """Return what the forward pass of `model` showed, compared and as it is.

    The model is cut to layers that differ; if it does not run so, it is run whole.
    """
    whole = copy.deepcopy(model)
    if shorten(model):
        seen, observation = _seen(case, model)
        if seen.failure is None and seen.lacking is None:
            return seen, observation
    return _seen(case, whole)


def _seen(case: Case, model: nn.Module) -> tuple[Pass, Observation]:
    start = time.process_time()
    observation = observe(model)
    seconds = time.process_time() - start
    if observation.is_partial or observation.reason is not None:
        return Pass(seconds, observation.reason or "the pass was cut"), observation
    inventory = assign(inventory_of(model, reference=case.model_type), observation)
    lacking = None
    if IMAGE_AND_TEXT in case.observed_as:
        lacking = _lacking(model, observation, inventory)
    return _agreement(inventory, seconds, lacking), observation


def _lacking(model: nn.Module, observation: Observation, inventory: Inventory) -> str | None:
    """Return what was missing for a pass over text and images together.

    A class whose forward takes no image (text and proteins) needs none.
    """
    names = observation.inputs
    takes_images = any(map(_SHOWS_AN_IMAGE.search, inspect.signature(model.forward).parameters))
    if takes_images and not any(map(_SHOWS_AN_IMAGE.search, names)):
        return f"no image was given, only {', '.join(names)}"
    if not any("input_ids" in name for name in names):
        return f"no text was given, only {', '.join(names)}"
    vision = [module for module in inventory.adaptable if module.tower is Tower.VISION]
    if vision and not any(m.observed and m.observed.call is Call.CALLED for m in vision):
        return "no module of the vision tower ran"
    return None


def _agreement(inventory: Inventory, seconds: float, lacking: str | None) -> Pass:
    not_reached: Counter[str] = Counter()
    differences: Counter[Difference] = Counter()
    agreeing = 0
    for module in inventory.adaptable:
        if module.role not in COMPARED and not differs(module):
            continue
        observed = module.observed
        if observed is None or observed.call is Call.NOT_REACHED:
            not_reached[fold(module.path)] += 1
        elif _agrees(module):
            agreeing += 1
        else:
            role = NOTHING if observed.role is None else str(observed.role)
            differences[Difference(fold(module.path), str(module.role), role)] += 1
    return Pass(
        seconds,
        lacking=lacking,
        compared=agreeing + differences.total(),
        agreeing=agreeing,
        differences=tuple(sorted(differences, key=lambda d: (d.path, d.observed))),
        not_reached=dict(not_reached),
    )


def _agrees(module: Module) -> bool:
    observed = module.observed
    if observed is None:
        return False
    # A router read directly is known as dead, which is what matters of it.
    if observed.call is Call.READ_DIRECTLY and module.role in ROUTERS:
        return True
    return observed.role is not None and observed.role in (
        module.role,
        SAME_FLOW.get(module.role),
    )
