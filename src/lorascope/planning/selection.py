"""Which modules of one model a request means, and in which share of its ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.roles import EXPERTS, PERCEPTION, Kind, Tower
from lorascope.planning.evidence import TASKS
from lorascope.planning.lacking import asked_by, refuse_if_lacking
from lorascope.planning.presets import PRESETS
from lorascope.planning.request import PlanRequest
from lorascope.planning.trainable import is_hazardous
from lorascope.planning.words import WORDS, RoleRank, means

_LINEARS = frozenset({Kind.LINEAR, Kind.CONV1D, Kind.EXPERT_PARAMETER, Kind.MULTIHEAD_ATTENTION})
_BY_ROLE_ONLY = frozenset({Kind.EMBEDDING, Kind.CONVOLUTION})


@dataclass(frozen=True, slots=True)
class RankRule:
    """How the rank of one share follows from the plan's unit."""

    weight: int
    divisor: int = 1

    def rank(self, unit: int) -> int:
        """Rank at this unit, at least 1."""
        return max(1, unit * self.weight // self.divisor)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One module that the plan adapts."""

    module: Module
    rule: RankRule


@dataclass(frozen=True, slots=True)
class Selection:
    """What a request means on one model, before ranks are fixed."""

    name: str
    """The preset, or `roles`."""
    chosen: tuple[Chosen, ...]
    """In model order."""
    unit: int
    """Unit at the default (or asked) rank."""
    main: RankRule
    """Rule of the main targets; alpha is stated for these."""
    towers: tuple[Tower, ...]
    experts: bool
    """Whether routed experts are included."""
    left_out: tuple[Module, ...]
    """Modules that were meant, but have a hazard of `NEVER`."""
    missing: tuple[str, ...]
    """Words of the preset that name nothing in this model."""


def select(inventory: Inventory, request: PlanRequest) -> Selection:
    """Work out which modules are meant.

    Raises:
        PlanError: The model has none of what the preset needs, or a filter leaves nothing.
    """
    towers = _towers(inventory, request)
    wishes, unit = wishes_of(request)
    in_towers = _reached(inventory, request, towers, wishes)
    experts = _experts(request)
    meant = [
        (module, wish)
        for module in in_towers
        if (wish := _wish_for(module, wishes, experts)) is not None
    ]
    usable = [(module, wish) for module, wish in meant if not is_hazardous(module)]
    missing = _missing_words(request, usable)
    refuse_if_lacking(inventory, request, towers, bool(usable), missing)
    layers = request.parsed_layers
    kept = [
        (m, w)
        for m, w in usable
        if (layers is None or m.layer in layers)
        and (request.only is None or m.path in request.only)
        and not is_excluded(m.path, request.exclude)
    ]
    if not kept:
        raise PlanError(
            f"{_filters(request)} leave none of the {len(usable)} modules that"
            f" {asked_by(request)} means.",
            _layer_hint(usable),
        )
    divisor = _expert_divisor(inventory, request)
    main = RankRule(wishes[0].weight)
    return Selection(
        name=request.preset_name,
        chosen=tuple(
            Chosen(m, _rule(m, w, main, divisor, uniform=request.uniform)) for m, w in kept
        ),
        unit=unit,
        main=main,
        towers=towers,
        experts=any(m.role in EXPERTS for m, _ in kept),
        left_out=tuple(m for m, _ in meant if is_hazardous(m)),
        missing=missing,
    )


def _rule(
    module: Module, wish: Wish, main: RankRule, expert_divisor: int, *, uniform: bool
) -> RankRule:
    if uniform:
        return main
    return RankRule(wish.weight, expert_divisor if module.role in EXPERTS else 1)


@dataclass(frozen=True, slots=True)
class Wish:
    """One word of the request and the rank weight it asks for."""

    word: str
    weight: int
    is_exact: bool
    """True for a role named in full or in its first parts, which includes experts and more."""


def wishes_of(request: PlanRequest) -> tuple[tuple[Wish, ...], int]:
    """Return the words of the request with their rank weights, and the unit of its ranks."""
    if request.roles:
        return _role_wishes(request.parsed_roles, request.rank)
    preset = PRESETS[request.preset_name]
    main = preset.shares[0].weight
    rank = request.rank
    if rank is None:
        rank = TASKS[request.task].rank if request.task is not None else preset.rank
    if rank % main:
        raise PlanError(
            f"--rank is {rank}; preset {preset.name} needs a multiple of {main}, because its other"
            f" targets get 1/{main} of it.",
            f"Use --rank {rank - rank % main or main} or {rank - rank % main + main}.",
        )
    wishes = tuple(
        Wish(word, share.weight, is_exact=False) for share in preset.shares for word in share.words
    )
    return wishes, rank // main


def _role_wishes(roles: Sequence[RoleRank], rank: int | None) -> tuple[tuple[Wish, ...], int]:
    ranks = [role.rank or rank or 8 for role in roles]
    unit = gcd(*ranks)
    return tuple(
        Wish(role.entry, each // unit, is_exact=role.entry not in WORDS)
        for role, each in zip(roles, ranks, strict=True)
    ), unit


def _wish_for(module: Module, wishes: Sequence[Wish], experts: bool | None) -> Wish | None:
    """The wish that decides the module's rank, or None if none means it.

    Raises:
        PlanError: Two wishes with different ranks mean the same (fused) module by name.
    """
    found: Wish | None = None
    for wish in wishes:
        if not means(wish.word, module) or not _may_have(module, wish, experts):
            continue
        if found is None:
            found = wish
        elif found.is_exact is wish.is_exact and found.weight != wish.weight:
            raise PlanError(
                f"--roles: {found.word} and {wish.word} both mean {module.path}"
                f" ({module.role.value}), with different ranks.",
                "Give them one rank.",
            )
        elif wish.is_exact and not found.is_exact:
            found = wish
    return found


def _may_have(module: Module, wish: Wish, experts: bool | None) -> bool:
    if module.role in EXPERTS:
        return bool(experts) if experts is not None else wish.is_exact
    return module.kind in _LINEARS or (wish.is_exact and module.kind in _BY_ROLE_ONLY)


def _experts(request: PlanRequest) -> bool | None:
    """Whether routed experts are adapted; None: only by roles that name them."""
    if request.experts is not None or request.roles:
        return request.experts
    return PRESETS[request.preset_name].experts


def _towers(inventory: Inventory, request: PlanRequest) -> tuple[Tower, ...]:
    asked = request.parsed_towers
    present = {module.tower for module in inventory.adaptable}
    for tower in asked:
        if tower not in present:
            raise PlanError(
                f"--tower {tower.value}: this model has no such tower; it has"
                f" {', '.join(sorted(t.value for t in present))}."
            )
    return asked or inventory.model.main_towers


def _reached(
    inventory: Inventory,
    request: PlanRequest,
    towers: Sequence[Tower],
    wishes: Sequence[Wish],
) -> list[Module]:
    """The modules of the towers, and heads and embeddings outside that only a role names.

    An encoder-decoder's head and shared embedding lie outside both of its towers. They count where
    no tower was asked for and the towers have none of that role.
    """
    inside = [m for m in inventory.adaptable if m.tower in towers]
    if request.towers:
        return inside
    lacking = [
        wish.word
        for wish in wishes
        if wish.is_exact and not any(means(wish.word, m) for m in inside)
    ]
    if not lacking:
        return inside
    inner = set(towers) | set(PERCEPTION)
    return [
        m
        for m in inventory.adaptable
        if m.tower in towers
        or (
            m.tower not in inner
            and m.role.group in ("embedding", "head")
            and any(means(word, m) for word in lacking)
        )
    ]


def _missing_words(request: PlanRequest, usable: list[tuple[Module, Wish]]) -> tuple[str, ...]:
    roles = {module.role: module for module, _ in usable}
    return tuple(w for w in request.words if not any(means(w, m) for m in roles.values()))


def is_excluded(path: str, entries: Sequence[str]) -> bool:
    """Whether an entry is the module's full name, a suffix of it, or names a container of it."""
    # Whole parts of the path: an entry inside it names a container, one at its end the module.
    dotted = f".{path}."
    return any(f".{entry.strip('.')}." in dotted for entry in entries)


def check_filters(inventory: Inventory, request: PlanRequest) -> None:
    """Refuse layers and exclusions that name nothing in this model.

    Raises:
        PlanError: A layer index or an excluded name that the model does not have.
    """
    for path in request.only or ():
        if path not in inventory.by_path:
            raise PlanError(f"only holds {path}: this model has no module of that name.")
    layers = request.parsed_layers
    present = {m.layer for m in inventory.adaptable if m.layer is not None}
    if layers is not None and (absent := sorted(layers - present)):
        has = f"0 to {max(present)}" if present else "none"
        raise PlanError(
            f"--layers asks for layer {absent[0]}"
            f"{f' and {len(absent) - 1} more' if len(absent) > 1 else ''}, which this model does"
            f" not have; it has {has}."
        )
    for entry in request.exclude:
        if not any(is_excluded(module.path, (entry,)) for module in inventory.modules):
            from difflib import get_close_matches

            names = {m.name for m in inventory.adaptable} | set(inventory.by_path)
            near = get_close_matches(entry, names, n=3)
            raise PlanError(
                f"--exclude {entry}: this model has no module of that name.",
                f"Nearest: {', '.join(near)}." if near else None,
            )


def _expert_divisor(inventory: Inventory, request: PlanRequest) -> int:
    """Divisor of the rank of routed experts: with a task whose evidence says so, else 1."""
    if request.task is None or request.roles or not TASKS[request.task].divide_experts:
        return 1
    return max(1, inventory.model.experts_per_token or 1)


def _filters(request: PlanRequest) -> str:
    return "--layers and --exclude" if request.only is None else "--layers, --exclude and only"


def _layer_hint(usable: list[tuple[Module, Wish]]) -> str | None:
    layers = sorted({m.layer for m, _ in usable if m.layer is not None})
    if not layers:
        return None
    shown = ", ".join(map(str, layers[:8])) + (", …" if len(layers) > 8 else "")
    return f"They are in layers {shown}."
