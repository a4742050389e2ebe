"""Which module of a model a score belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lorascope.core.errors import PlanError, printable
from lorascope.core.inventory import Inventory, Module
from lorascope.matching.names import EntryList
from lorascope.planning.words import WORDS, means, role_named

_LONGEST_COMPARED = 100
"""Characters of a name up to which near ones are looked for; it takes time quadratic in them."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A score that a name has for a module."""

    rank: tuple[int, int]
    """How exact the name is: full name, end of a name, role; then how exact it is among these."""
    name: str
    score: float


def module_scores(inventory: Inventory, scores: Mapping[str, float]) -> Mapping[str, float]:
    """Return the score of each adaptable module that is scored, by full name, in model order.

    A name is a full name, the end of one (whole parts, as PEFT matches), a role, the first parts
    of one, or a word such as `q`. The most exact one holds, in this order, the longer end first.
    A name that can be a role or the end of a module's name is the role, if the model has it.

    Raises:
        PlanError: A name fits no module that LoRA adapts, or two that are as exact as each other
            give one module different scores.
    """
    modules = list(inventory.adaptable)
    paths = {module.path for module in modules}
    roles = {name: word for name in scores if (word := _role(name, modules)) is not None}
    ends = EntryList(name for name in scores if name not in paths and name not in roles)
    used: set[str] = set()
    found: dict[str, float] = {}
    for module in modules:
        claims = list(_claims(module, scores, roles, ends))
        used.update(claim.name for claim in claims)
        if claims:
            found[module.path] = _strongest(module, claims).score
    if len(used) < len(scores):
        raise _unknown(inventory, [name for name in scores if name not in used])
    return found


def _role(name: str, modules: list[Module]) -> str | None:
    """The word or role that a name stands for, if the model has such modules."""
    word = role_named(name)
    if word is None or not any(means(word, module) for module in modules):
        return None
    return word


def _claims(
    module: Module, scores: Mapping[str, float], roles: Mapping[str, str], ends: EntryList
) -> Iterator[_Claim]:
    if module.path in scores:
        yield _Claim((3, 0), module.path, scores[module.path])
    for name in ends.naming(module.path):
        yield _Claim((2, name.count(".")), name, scores[name])
    for name, word in roles.items():
        if means(word, module):
            yield _Claim((1, _exactness(word, module)), name, scores[name])


def _exactness(word: str, module: Module) -> int:
    """The role itself, its first parts, a word such as `q`, then the group alone (`attention`)."""
    if word == module.role.value:
        return 3
    if word in WORDS:
        return 1
    return 2 if "." in word else 0


def _strongest(module: Module, claims: list[_Claim]) -> _Claim:
    best = max(claims, key=lambda claim: claim.rank)
    for claim in claims:
        if claim.rank == best.rank and claim.score != best.score:
            raise PlanError(
                f"The scores of {best.name} and {claim.name} both mean {module.path}"
                f" ({module.role.value}) and differ.",
                f"Score it by its name, {module.name}.",
            )
    return best


def _unknown(inventory: Inventory, names: list[str]) -> PlanError:
    name, quoted = names[0], printable(names[0], _LONGEST_COMPARED)
    more = f" (and {len(names) - 1:,} more such names)" if len(names) > 1 else ""
    listed = {module.path for module in inventory.modules}
    if name in listed or any(path.endswith(f".{name}") for path in listed):
        return PlanError(
            f"A score is given for {quoted}, which LoRA does not adapt{more}.",
            "Score linear layers, or roles.",
        )
    return PlanError(
        f"A score is given for {quoted}, which is no module or role of this model{more}.",
        _nearest(inventory, name),
    )


def _nearest(inventory: Inventory, name: str) -> str | None:
    from difflib import get_close_matches

    if len(name) > _LONGEST_COMPARED:
        return None
    modules = list(inventory.adaptable)
    words = [word for word in WORDS if any(means(word, module) for module in modules)]
    # A full name is compared with those of like modules, of which a model has one in each layer.
    last = name.rpartition(".")[2]
    paths = [m.path for m in modules if m.name == last] if "." in name else []
    known = dict.fromkeys([*words, *(m.role.value for m in modules), *(m.name for m in modules)])
    near = get_close_matches(name, [*known, *paths[:1000]], n=3)
    return f"Nearest: {', '.join(near)}." if near else None
