"""Build one class on the meta device, name its modules, observe its attention."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
import transformers
from model_types import Case
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import Kind, Role
from lorascope.observe import observe_attention
from lorascope.roles import assign, shipped_matcher
from lorascope.roles.rule import Rule

OBSERVED = "causal LM"
"""The auto-class whose attention is observed."""

NOT_COMPARED = frozenset({Role.ATTENTION_INDEXER, Role.ATTENTION_POSITION, Role.ATTENTION_OTHER})
"""Roles that the flow into query, key and value cannot tell apart."""

COMPARED = (
    frozenset(role for role in Role if role.group == "attention")
    - NOT_COMPARED
    - {Role.ATTENTION_GATE}
)
"""Roles that every attention's forward pass must show."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A module whose name says one role and whose forward pass another."""

    path: str
    named: str
    observed: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the sweep found out about one class."""

    case: Case
    failure: str | None = None
    """Why it could not be built; None if it was."""
    modules: int = 0
    adaptable: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Path with numbers folded → how many adaptable modules without a role."""
    unknown_in_blocks: int = 0
    hits: frozenset[Rule] = frozenset()
    """Rows of the role tables that gave a role here."""
    ambiguous: frozenset[str] = frozenset()
    """Paths for which two equally specific rows give different roles."""
    attentions: int | None = None
    """Attentions that ran; None if the class was not observed."""
    unobserved: str | None = None
    """Why nothing could be observed."""
    compared: int = 0
    """Modules whose named and observed roles were compared."""
    differences: tuple[Difference, ...] = ()
    unreached: frozenset[str] = frozenset()
    """Folded paths of the main towers' attention modules that took part in no attention seen."""
    dead: frozenset[str] = frozenset()
    """Folded paths of modules whose weight is read although their forward never runs."""
    dead_unnamed: frozenset[str] = frozenset()
    """Those of `dead` that the tables do not mark as such."""


def measure(case: Case, observe: bool) -> Result:
    """Walk one class with its default config; any failure becomes part of the result."""
    try:
        model = _build(case)
        inventory = assign(inventory_of(model, reference=case.model_type))
    except Exception as error:
        return Result(case, failure=_reason(error))
    hits, ambiguous = _hits(inventory)
    adaptable = tuple(inventory.adaptable)
    unknown = [module for module in adaptable if module.role is Role.UNKNOWN]
    result = {
        "modules": len(inventory.modules),
        "adaptable": len(adaptable),
        "unknown": Counter(fold(module.path) for module in unknown),
        "unknown_in_blocks": sum(module.layer is not None for module in unknown),
        "hits": hits,
        "ambiguous": ambiguous,
    }
    if observe and case.auto_class == OBSERVED:
        result |= _observe(model, inventory)
    return Result(case, **result)


def fold(path: str) -> str:
    """Replace every number in a path by `#`, so that like layers fall together."""
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "#", path)


def _build(case: Case) -> torch.nn.Module:
    cls = getattr(transformers, case.cls)
    with torch.device("meta"):
        return cls(CONFIG_MAPPING[case.model_type]())


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160] if lines else ''}"


def _hits(inventory: Inventory) -> tuple[frozenset[Rule], frozenset[str]]:
    matcher = shipped_matcher()
    classes = {module.path: module.cls for module in inventory.modules}
    hits: set[Rule] = set()
    ambiguous: set[str] = set()
    for module, parent in _one_of_each(inventory.modules, classes):
        rules = tuple(matcher.all(module, parent, inventory.model.model_type or ""))
        hits.update(rules[:1])
        rivals = {rule.role for rule in rules if rule.rank == rules[0].rank}
        if len(rivals) > 1:
            ambiguous.add(module.path)
    return frozenset(hits), frozenset(ambiguous)


def _one_of_each(
    modules: Iterable[Module], classes: Mapping[str, str]
) -> Iterator[tuple[Module, str]]:
    """Yield one module of each folded path, class and parent, with the parent's class."""
    seen: set[tuple[str, str, str]] = set()
    for module in modules:
        if module.kind is Kind.CONTAINER:
            continue
        holder = module.path.rpartition(".")[0]
        parent = classes.get(holder, "")
        key = (f"{fold(holder)}.{module.name}", module.cls, parent)
        if key not in seen:
            seen.add(key)
            yield module, parent


def _observe(model: torch.nn.Module, inventory: Inventory) -> dict[str, object]:
    observation = observe_attention(model)
    modules = inventory.by_path
    compared = [
        (module, role)
        for path, role in observation.roles.items()
        if (module := modules.get(path)) is not None and module.role not in NOT_COMPARED
    ]
    differences = {
        Difference(fold(module.path), str(module.role), str(role))
        for module, role in compared
        if module.role is not role
    }
    dead = [path for path in observation.dead if path in modules]
    unreached = {
        fold(module.path)
        for module in inventory.adaptable
        if module.role in COMPARED
        and module.tower in inventory.model.main_towers
        and module.path not in observation.roles
    }
    return {
        "attentions": observation.attentions,
        "unobserved": observation.reason,
        "compared": len(compared),
        "differences": tuple(sorted(differences, key=lambda difference: difference.path)),
        "unreached": frozenset(unreached),
        "dead": frozenset(map(fold, dead)),
        "dead_unnamed": frozenset(
            fold(path) for path in dead if "forward_never_called" not in modules[path].hazards
        ),
    }
