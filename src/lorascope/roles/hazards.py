"""What can go wrong when a module is adapted, as names, classes and the forward pass tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorascope.core.observation import Call
from lorascope.core.roles import ROUTERS, Kind, Role, Tower
from lorascope.roles.agreement import bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lorascope.core.inventory import Module
    from lorascope.core.observation import Observed
    from lorascope.roles.rule import Rule

_SENSES = frozenset({Tower.VISION, Tower.AUDIO})


def all_hazards(
    modules: tuple[Module, ...],
    rules: Mapping[str, Rule],
    roles: Mapping[str, Role],
    towers: Mapping[str, Tower],
    seen: Mapping[str, Observed],
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return path → hazards of every module, and what to say of those the forward pass refutes.

    Args:
        modules: All modules of the model.
        rules: Path → the row that speaks of the module.
        roles: Path → role, where one is known.
        towers: Path → tower.
        seen: Path → what a forward pass showed.
    """
    tied = _tied_paths(modules)
    kinds = {module.path: module.kind for module in modules}
    stated = {m.path: _stated(m, rules.get(m.path), kinds) for m in modules}
    shown = {m.path: _shown(m, seen[m.path]) for m in modules if m.path in seen}
    found = {
        module.path: _hazards_of(
            module,
            roles.get(module.path, Role.UNKNOWN),
            towers[module.path],
            stated[module.path],
            shown.get(module.path, {}),
            tied,
        )
        for module in modules
    }
    return found, _lifted(stated, shown)


def _tied_paths(modules: Iterable[Module]) -> frozenset[str]:
    """Paths of all modules that share a weight with another one, whichever came first."""
    pairs = ((module.path, module.tied_to) for module in modules)
    return frozenset(path for pair in pairs if pair[1] is not None for path in pair if path)


def _stated(module: Module, rule: Rule | None, kinds: Mapping[str, Kind]) -> tuple[str, ...]:
    """Codes that are known without a forward pass and without the module's place in the model.

    Args:
        module: The module, with the hazards that its class alone has.
        rule: The row that gives its role; the row's own hazards count.
        kinds: Path → kind of every module.
    """
    codes = [*module.hazards, *(rule.hazards if rule is not None else ())]
    if kinds.get(module.path.rpartition(".")[0]) is Kind.MULTIHEAD_ATTENTION:
        codes.append("forward_never_called")
    return tuple(codes)


def _shown(module: Module, seen: Observed) -> Mapping[str, bool]:
    """Hazard → whether the module has it, as far as the forward pass decides that.

    An expert parameter is read directly by its nature and has no forward.
    """
    shown: dict[str, bool] = {}
    if module.kind is not Kind.EXPERT_PARAMETER and seen.call is not Call.NOT_REACHED:
        shown["forward_never_called"] = seen.call is Call.READ_DIRECTLY
        shown["forward_bypassed_by_kernel"] = seen.call is Call.READ_ON_SOME_WAYS
    if seen.affine is not None:
        shown["not_affine"] = not seen.affine
    return shown


def _hazards_of(
    module: Module,
    role: Role,
    tower: Tower,
    stated: tuple[str, ...],
    shown: Mapping[str, bool],
    tied: frozenset[str],
) -> tuple[str, ...]:
    """Codes of all hazards of `module`, each once. What the forward pass decides, it decides.

    Args:
        module: The module.
        role: Its role.
        tower: Its tower.
        stated: What `_stated` says.
        shown: What `_shown` says.
        tied: Paths of the modules that share a weight.
    """
    if module.kind is Kind.CONTAINER:
        return module.hazards
    codes = [code for code in stated if shown.get(code, True)]
    codes += [code for code, is_so in shown.items() if is_so]
    if role in ROUTERS:
        codes.append("router")
    if module.path in tied:
        codes.append("tied")
    if tower in _SENSES:
        codes.append("perception_tower")
    return tuple(dict.fromkeys(codes))


def _lifted(
    stated: Mapping[str, tuple[str, ...]], shown: Mapping[str, Mapping[str, bool]]
) -> list[str]:
    """Return one sentence for each hazard that a name rule states and the forward pass refutes.

    Args:
        stated: Path → hazards known without a pass.
        shown: Path → hazard → whether the pass showed it.
    """
    lifted: dict[str, list[str]] = {}
    for path, codes in stated.items():
        for code in dict.fromkeys(codes):
            if shown.get(path, {}).get(code) is False:
                lifted.setdefault(code, []).append(path)
    told = [
        f"The hazard {code}, which a name rule states, is lifted where the forward pass shows"
        f" otherwise: {len(paths)} × such as {paths[0]}."
        for code, paths in lifted.items()
    ]
    return bounded(told, "lifted hazards")
