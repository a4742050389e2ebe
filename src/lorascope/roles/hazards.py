"""What can go wrong when a module is adapted, as far as names and classes tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.roles import ROUTERS, Kind, Tower

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lorascope.core.inventory import Module
    from lorascope.roles.rule import Rule

_SENSES = frozenset({Tower.VISION, Tower.AUDIO})


def tied_paths(modules: Iterable[Module]) -> frozenset[str]:
    """Paths of all modules that share a weight with another one, whichever came first."""
    pairs = ((module.path, module.tied_to) for module in modules)
    return frozenset(path for pair in pairs if pair[1] is not None for path in pair if path)


def hazards_of(
    module: Module, tower: Tower, rule: Rule | None, tied: frozenset[str], kinds: Mapping[str, Kind]
) -> tuple[str, ...]:
    """Codes of all hazards of `module`, those it already has first.

    Args:
        module: The module.
        tower: Its tower.
        rule: The row that gives its role; the row's own hazards count.
        tied: Paths of the modules that share a weight.
        kinds: Path → kind of every module.
    """
    if module.kind is Kind.CONTAINER:
        return module.hazards
    codes = [*module.hazards, *(rule.hazards if rule is not None else ())]
    if kinds.get(module.path.rpartition(".")[0]) is Kind.MULTIHEAD_ATTENTION:
        codes.append("forward_never_called")
    if rule is not None and rule.role in ROUTERS:
        codes.append("router")
    if module.path in tied:
        codes.append("tied")
    if tower in _SENSES:
        codes.append("perception_tower")
    return tuple(dict.fromkeys(codes))
