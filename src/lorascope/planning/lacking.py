"""What to say where a model has none of the modules that a request needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import EXPERTS, ROUTERS, Role, Tower
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.trainable import is_hazardous, why_untrainable
from lorascope.planning.words import LINEAR, WORDS, listed, means


def refuse_if_lacking(
    inventory: Inventory,
    request: PlanRequest,
    towers: Sequence[Tower],
    is_any_usable: bool,
    missing: Sequence[str],
) -> None:
    """Refuse a request for which the model lacks modules.

    Args:
        inventory: The model.
        request: What is asked.
        towers: Towers that are adapted.
        is_any_usable: Whether anything is left that the request means and LoRA can train.
        missing: Words of the request for which nothing is left.

    Raises:
        PlanError: The preset's needs, or a role of the role list, are among the missing words, or
            nothing at all is left. It says whether the model has no such module, has it in routed
            experts or in another tower, or has it where LoRA cannot train it.
    """
    needed = missing if request.roles else PRESETS[request.preset_name].needs
    lacking = [word for word in missing if word in needed]
    if not is_any_usable and not lacking:
        lacking = list(missing)
    if not lacking:
        return
    present = [m for m in inventory.listed if m.tower in towers and m.alias_of is None]
    meant = [m for m in present if any(means(word, m) for word in lacking)]
    asked = asked_by(request)
    if any(m.role in EXPERTS for m in meant):
        raise PlanError(
            f"Outside its routed experts this model has no {listed(lacking, 'or')}, which"
            f" {asked} asks for.",
            "Include the experts with --experts.",
        )
    elsewhere = _towers_with(inventory, lacking, towers)
    where = "this model has"
    if request.towers or (elsewhere and not meant):
        adapted = listed([tower.value for tower in towers])
        where = f"the {adapted} tower{' has' if len(towers) == 1 else 's have'}"
    usable = [m for m in present if m.kind.adaptable and not is_hazardous(m)]
    has = ", ".join(_roles_in_blocks(usable)) or "nothing in its blocks"
    raise PlanError(
        f"{where[0].upper()}{where[1:]} no {listed(lacking, 'or')}{_why(meant)}, which {asked} asks"
        f" for; LoRA can train: {has}.",
        _hint(request, usable, () if meant else elsewhere),
    )


def asked_by(request: PlanRequest) -> str:
    """What of the request names the modules."""
    return "--roles" if request.roles else f"preset {request.preset_name}"


def _why(meant: Iterable[Module]) -> str:
    """Why modules that are there cannot be adapted, by class; empty if there are none."""
    reasons: dict[tuple[str, str], list[Module]] = defaultdict(list)
    for module in meant:
        if (why := why_untrainable(module)) is not None:
            reasons[module.cls, why].append(module)
    if not reasons:
        return ""
    told = "; ".join(
        f"{len(modules)} {cls} ({listed(list(dict.fromkeys(m.name for m in modules)))}): {why}"
        for (cls, why), modules in reasons.items()
    )
    return f" that LoRA can train ({told})"


def _towers_with(
    inventory: Inventory, words: Sequence[str], towers: Sequence[Tower]
) -> tuple[str, ...]:
    """Other towers in which LoRA can train what the words mean."""
    found = {
        module.tower.value
        for module in inventory.adaptable
        if module.tower not in towers
        and not is_hazardous(module)
        and any(means(word, module) for word in words)
    }
    return tuple(sorted(found))


def _hint(request: PlanRequest, usable: Sequence[Module], elsewhere: Sequence[str]) -> str:
    if elsewhere:
        options = " ".join(f"--tower {tower}" for tower in elsewhere)
        return f"Adapt the {listed(elsewhere)} tower{'s' * (len(elsewhere) > 1)} with {options}."
    if request.roles:
        return f"Here --roles takes {listed(_takes(usable), 'or')}." if usable else _OTHER_TOWER
    if not any(means(LINEAR, m) for m in usable):
        return "Name what you want with --roles or --tower."
    if request.preset_name == "all-linear":
        return "Name what you want with --roles."
    return "Try --preset all-linear."


_OTHER_TOWER = "Choose another tower with --tower."
_OUTSIDE_BLOCKS = ("embedding", "head")


def _takes(usable: Sequence[Module]) -> list[str]:
    """The plain words that mean something here, then the roles that no word means."""
    unrouted = [m for m in usable if m.role not in EXPERTS]
    words = [word for word in WORDS if any(means(word, m) for m in unrouted)]
    named = {role for word in words for role in WORDS[word]} - EXPERTS
    others = [m.role for m in usable if m.role not in named | ROUTERS | {Role.UNKNOWN}]
    others.sort(key=lambda role: role.group in _OUTSIDE_BLOCKS)
    return [*words, *dict.fromkeys(_entry(role) for role in others)]


def _entry(role: Role) -> str:
    """The role, or the first parts of it that are enough."""
    if role in EXPERTS:
        return "moe.experts"
    return role.value if role.group in _OUTSIDE_BLOCKS else role.group


def _roles_in_blocks(modules: Sequence[Module]) -> Iterator[str]:
    in_blocks = (m.role for m in modules if m.layer is not None)
    return (role.value for role in dict.fromkeys(in_blocks) if role is not Role.UNKNOWN)
