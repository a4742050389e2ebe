"""Give every module of an inventory its role, layer, tower and hazards, each by a named rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from lorascope.core.roles import Evidence, Kind, Role, Tower
from lorascope.roles.agreement import disagreements, merged
from lorascope.roles.blocks import BLOCK_GROUPS, block_path, layer_numbers
from lorascope.roles.context import shipped_context
from lorascope.roles.hazards import all_hazards
from lorascope.roles.matcher import Matcher
from lorascope.roles.tables import shipped_rules
from lorascope.roles.towers import (
    below,
    encoder_and_decoder,
    lone_tower,
    main_towers,
    named_tower,
    sense_tower,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lorascope.core.inventory import Inventory, ModelInfo, Module
    from lorascope.core.observation import Observation, Observed
    from lorascope.roles.context import Context
    from lorascope.roles.rule import Rule

_CONVOLUTION_GROUPS = frozenset({"conv"})
"""What makes a block in a model that has neither attention nor a feed-forward."""

_ATTENTION_GROUPS = frozenset({"attention", "linear_attention"})

_UNKNOWN = (Role.UNKNOWN, Evidence.UNKNOWN)


def assign(inventory: Inventory, observation: Observation | None = None) -> Inventory:
    """Return the inventory with role, evidence, rule, layer, tower and hazards of each module.

    Pure: nothing is built or run. A module that no row speaks of and of which the forward pass
    showed nothing keeps the role `unknown`. Where the two differ the name's role is kept, save that
    of a generic row in a class that is not transformers' own; a note tells of it either way. A
    tower that the config's structure gave is kept; the names decide the others.

    Args:
        inventory: The model.
        observation: What a forward pass showed of it; None if none was run.
    """
    rules = _rules(inventory)
    seen = {} if observation is None else observation.modules
    is_whole = observation is not None and not (observation.is_partial or observation.reason)
    may_overrule = is_whole and _is_own_code(inventory.model)
    known = {
        module.path: merged(
            _role(rules.get(module.path)),
            seen.get(module.path),
            may_overrule=may_overrule and _is_generic(rules.get(module.path)),
        )
        for module in inventory.modules
        if module.path in rules or module.path in seen
    }
    roles = {path: role for path, (role, _) in known.items() if role is not Role.UNKNOWN}
    blocks = _blocks(inventory.modules, roles)
    towers = _towers(inventory.modules, roles, blocks, inventory.model.model_type or "")
    numbers = _layers(towers, blocks)
    hazards, lifted = all_hazards(inventory.modules, rules, roles, towers, seen)
    modules = tuple(
        _described(
            module,
            rules.get(module.path),
            *known.get(module.path, _UNKNOWN),
            layer=numbers.get(blocks.get(module.path, "")),
            tower=towers[module.path],
            hazards=hazards[module.path],
            observed=seen.get(module.path),
        )
        for module in inventory.modules
    )
    main = main_towers(m for m in modules if m.layer is not None and m.kind.adaptable)
    notes = dict.fromkeys((*inventory.model.notes, *disagreements(modules), *lifted))
    return replace(
        inventory,
        model=replace(inventory.model, main_towers=main, notes=tuple(notes)),
        modules=modules,
        observation=None if observation is None else observation.info,
    )


@cache
def shipped_matcher() -> Matcher:
    """Return the matcher over the tables that come with lorascope."""
    return Matcher(shipped_rules())


def _rules(inventory: Inventory) -> dict[str, Rule]:
    matcher = shipped_matcher()
    model_type = inventory.model.model_type or ""
    classes = {module.path: module.cls for module in inventory.modules}
    found: dict[str, Rule] = {}
    for module in inventory.modules:
        if module.kind is Kind.CONTAINER:
            continue
        rule = matcher.find(module, classes.get(module.path.rpartition(".")[0], ""), model_type)
        if rule is not None:
            found[module.path] = rule
    return found


def _is_own_code(model: ModelInfo) -> bool:
    """Whether the rows of the tables were never checked against the class of a model."""
    is_shipped = model.is_pretrained_model and model.is_transformers_class
    return model.is_remote_code or not is_shipped


def _is_generic(rule: Rule | None) -> bool:
    return rule is not None and not rule.family


def _role(rule: Rule | None) -> Role | None:
    return None if rule is None else rule.role


def _described(
    module: Module,
    rule: Rule | None,
    role: Role,
    evidence: Evidence,
    *,
    layer: int | None,
    tower: Tower,
    hazards: tuple[str, ...],
    observed: Observed | None,
) -> Module:
    return replace(
        module,
        role=role,
        evidence=evidence,
        rule=None if rule is None else rule.name,
        layer=layer,
        tower=tower,
        cross_attention=_is_cross_attention(module.path, role),
        hazards=hazards,
        observed=observed,
        named_role=_overruled(rule, role, evidence, observed),
    )


def _overruled(
    rule: Rule | None, role: Role, evidence: Evidence, observed: Observed | None
) -> Role | None:
    """The role by name where the forward pass decided otherwise."""
    if rule is None or observed is None or evidence is not Evidence.OBSERVED or role is rule.role:
        return None
    return None if rule.role is Role.UNKNOWN else rule.role


def _blocks(modules: tuple[Module, ...], roles: Mapping[str, Role]) -> dict[str, str]:
    """Path of a module → path of the block it lies in (or is)."""
    stages = shipped_context().stages
    candidates = {module.path: block_path(module.path, stages) for module in modules}
    blocks: set[str] = set()
    for groups in (BLOCK_GROUPS, _CONVOLUTION_GROUPS):
        blocks = blocks or {
            block
            for path, role in roles.items()
            if role.group in groups and (block := candidates[path]) is not None
        }
    return {
        module.path: block
        for module in modules
        if (block := module.path if module.path in blocks else candidates[module.path]) in blocks
    }


def _towers(
    modules: tuple[Module, ...],
    roles: Mapping[str, Role],
    blocks: Mapping[str, str],
    model_type: str,
) -> dict[str, Tower]:
    """Path of a module → its tower: by config, by name, by place, and the body for the rest."""
    context = shipped_context()
    placed = {
        module.path: tower
        for module in modules
        if (tower := _own_tower(module, roles.get(module.path), context)) is not None
    }
    loose = tuple(module for module in modules if module.path not in placed)
    roots = encoder_and_decoder(
        dict.fromkeys(blocks[module.path] for module in loose if module.path in blocks)
    )
    placed.update(
        (module.path, tower) for module in loose if (tower := below(module.path, roots)) is not None
    )
    sense = sense_tower(modules, roles, model_type, context)
    embeds_tokens = any(roles.get(m.path) is Role.EMBEDDING_TOKEN for m in loose)
    body = Tower.TEXT if embeds_tokens else sense or Tower.TEXT
    towers = {module.path: placed.get(module.path, body) for module in modules}
    lone = lone_tower(set(towers.values()), sense)
    return {path: lone.get(tower, tower) for path, tower in towers.items()}


def _own_tower(module: Module, role: Role | None, context: Context) -> Tower | None:
    if role is Role.PROJECTOR:
        return Tower.PROJECTOR
    return named_tower(module.path, context) if module.tower is Tower.TEXT else module.tower


def _layers(towers: Mapping[str, Tower], blocks: Mapping[str, str]) -> dict[str, int]:
    """Path of a block → its index inside its tower."""
    of_tower: dict[Tower, dict[str, None]] = defaultdict(dict)
    for path, tower in towers.items():
        block = blocks.get(path)
        if block is not None:
            of_tower[tower].setdefault(block)
    numbers: dict[str, int] = {}
    for tower_blocks in of_tower.values():
        numbers.update(layer_numbers(tower_blocks))
    return numbers


def _is_cross_attention(path: str, role: Role) -> bool:
    if role.group not in _ATTENTION_GROUPS:
        return False
    return not shipped_context().cross_attention_parts.isdisjoint(path.split("."))
