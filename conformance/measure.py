"""Build one class on the meta device, name its modules, run it, read its source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import torch
import transformers
from compare import compared
from model_types import Case
from published import config_of
from result import Dead, Result, Way, fold

from lorascope.build import inventory_of
from lorascope.core.inventory import Inventory, Module
from lorascope.core.observation import Call, Observation
from lorascope.core.roles import Kind, Role
from lorascope.observe.affine import not_affine
from lorascope.observe.direct_reads import Read, direct_reads
from lorascope.roles import assign, shipped_matcher
from lorascope.roles.rule import Rule

_NAMED_DEAD = frozenset({"forward_never_called", "state_space_kernel"})
"""Hazards by which the role tables say that an adapter may learn nothing."""


def measure(case: Case) -> Result:
    """Walk one class with the config of its type; any failure becomes part of the result."""
    try:
        model = _build(case)
        inventory = assign(inventory_of(model, reference=case.model_type))
    except Exception as error:
        return Result(case, failure=_reason(error))
    hits, ambiguous = _hits(inventory)
    adaptable = tuple(inventory.adaptable)
    reads = direct_reads(model)
    affine = {
        fold(path): type(model.get_submodule(path)).__name__
        for path, is_affine in not_affine(model).items()
        if not is_affine
    }
    # Last, since it cuts the model.
    seen, observation = compared(case, model) if case.observed_as else (None, Observation())
    unknown = [module for module in adaptable if module.role is Role.UNKNOWN]
    return Result(
        case,
        modules=len(inventory.modules),
        adaptable=len(adaptable),
        unknown=Counter(fold(module.path) for module in unknown),
        unknown_in_blocks=sum(module.layer is not None for module in unknown),
        hits=hits,
        ambiguous=ambiguous,
        dead=tuple(_dead(reads, inventory, observation)),
        not_affine=affine,
        seen=seen,
    )


def _build(case: Case) -> torch.nn.Module:
    cls = getattr(transformers, case.cls)
    with torch.device("meta"):
        return cls(config_of(case.model_type))


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160] if lines else ''}"


def _dead(
    reads: Mapping[str, Read], inventory: Inventory, observation: Observation
) -> Iterator[Dead]:
    """Yield the dead targets, those with the same folded path once."""
    ways: dict[str, set[Way]] = {}
    of_source = {Read.ALWAYS: Way.SOURCE, Read.SOMETIMES: Way.SOURCE_SOMETIMES}
    for path, read in reads.items():
        ways.setdefault(path, set()).add(of_source[read])
    for path, observed in observation.modules.items():
        if observed.call is Call.READ_DIRECTLY:
            ways.setdefault(path, set()).add(Way.PASS)
    folded: dict[str, tuple[Module, set[Way]]] = {}
    for path, found in ways.items():
        module = inventory.by_path[path]
        folded.setdefault(fold(path), (module, set()))[1].update(found)
    for path, (module, found) in folded.items():
        is_named = not _NAMED_DEAD.isdisjoint(module.hazards)
        yield Dead(path, str(module.kind), tuple(sorted(found)), is_named)


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
