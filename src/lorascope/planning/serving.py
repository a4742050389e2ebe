"""A plan that means the same on every serving engine asked for, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.numbers import exact, plain
from lorascope.core.plan import Advice, Plan, Target
from lorascope.matching import Match
from lorascope.planning.evidence import EVERY_LINEAR, MIXED_RANKS
from lorascope.planning.request import PlanRequest
from lorascope.planning.words import listed
from lorascope.serving.engines import Engine, Feature, engines
from lorascope.serving.troubles import Severity, Trouble, troubles

Make = Callable[[Inventory, PlanRequest], tuple[Plan, Match]]
Say = Callable[[Plan, Plan], Advice]
"""The plan before and after a change → what is said of it."""

_MOST_STEPS = 8
"""More than there are ways to change a request."""


class _NothingLeftError(PlanError):
    """An engine takes LoRA on none of the targets."""


@dataclass(frozen=True, slots=True)
class Served:
    """A plan, and what was changed for the engines."""

    plan: Plan
    changes: tuple[Advice, ...]


def served(inventory: Inventory, request: PlanRequest, make: Make) -> Served:
    """Return a plan that all engines of the request serve as it is trained.

    What the preset alone implies is changed where an engine needs it, and the plan says so; what
    was asked for by an option is not.

    Args:
        inventory: The model.
        request: With at least one engine in `serve`.
        make: Works a request out, engines aside.

    Raises:
        PlanError: No such plan was found; the message names the engine and what it lacks.
    """
    try:
        return _served_by(inventory, request, make)
    except _NothingLeftError as error:
        others = [name for name in engines() if name not in request.engines]
        able = [n for n in others if _is_served(inventory, replace(request, serve=(n,)), make)]
        titles = listed([engines()[name].title for name in able], "or") if able else ""
        hint = f"Serve it with {titles}, or choose other targets." if able else error.hint
        raise PlanError(error.what, hint) from None


def not_served(inventory: Inventory, match: Match, names: Iterable[str]) -> str:
    """Return why a configuration is not served as trained; empty if all engines do so."""
    for engine in (engines()[name] for name in names):
        for each in troubles(engine, inventory, match):
            if each.severity.is_hard:
                return f"{_refusal(each)}."
    return ""


def _is_served(inventory: Inventory, request: PlanRequest, make: Make) -> bool:
    try:
        _served_by(inventory, request, make)
    except PlanError:
        return False
    return True


def _served_by(inventory: Inventory, request: PlanRequest, make: Make) -> Served:
    asked = tuple(engines()[name] for name in request.engines)
    said: list[Advice] = []
    original = request
    plan, match = make(inventory, request)
    for _ in range(_MOST_STEPS):
        found = [each for engine in asked for each in troubles(engine, inventory, match)]
        hard = [each for each in found if each.severity.is_hard]
        if not hard:
            advice = (*_fitting(plan, request, original), *said, *_served(asked, found))
            return Served(replace(plan, advice=advice), tuple(said))
        request, say = _changed(request, hard, match)
        before = plan
        try:
            plan, match = make(inventory, request)
        except PlanError:
            raise _nothing_left(hard, before) from None
        said.append(say(before, plan))
    raise _none(hard, request, match)


def _fitting(plan: Plan, request: PlanRequest, original: PlanRequest) -> Iterator[Advice]:
    """Return the grounds that hold for the plan as it was changed."""
    is_level = request.uniform and not original.uniform
    kept = (request.experts, request.exclude) == (original.experts, original.exclude)
    for each in plan.advice:
        if not (is_level and each in MIXED_RANKS) and (kept or each not in EVERY_LINEAR):
            yield each


def _changed(
    request: PlanRequest, found: Sequence[Trouble], match: Match
) -> tuple[PlanRequest, Say]:
    """Change the request so that the first of the troubles that can be avoided is.

    Raises:
        PlanError: None of them can.
    """
    for trouble in found:
        changed = _without(request, trouble)
        if changed is not None:
            return changed
    raise _none(found, request, match)


def _without(request: PlanRequest, trouble: Trouble) -> tuple[PlanRequest, Say] | None:
    """Change what the preset implies, so that the trouble is gone; None if it is asked for."""
    who = trouble.engine.title
    match trouble.feature:
        case Feature.PATTERNS if not request.uniform and not request.has_own_ranks:
            return replace(request, uniform=True), _levelled(trouble)
        case Feature.REGEX_TARGETS if not request.listed:
            return replace(request, listed=True), _said(
                f"The targets are written as a list: {who} takes no regular expression."
            )
        case Feature.EXPERT_PARAMETERS if request.experts is None and not request.roles:
            return replace(request, experts=False), _said(
                f"Routed experts are left out: {who} {trouble.does} LoRA on stacked expert"
                " parameters."
            )
        case Feature.TIED_HEAD | Feature.UNKNOWN_NAME if trouble.paths and not request.roles:
            names = tuple(dict.fromkeys(path.rpartition(".")[2] for path in trouble.paths))
            verb = "is" if len(names) == 1 else "are"
            why = f", because {trouble.why}" if trouble.why else ""
            return replace(request, exclude=(*request.exclude, *trouble.paths)), _said(
                f"{listed(names)} {verb} left out: {who} {trouble.does} LoRA there{why}."
            )
    return None


def _said(text: str) -> Say:
    return lambda _, __: Advice(text)


def _levelled(trouble: Trouble) -> Say:
    """Say which roles get another rank, and how many parameters that makes."""
    who = trouble.engine.title
    is_refused = trouble.severity is Severity.REFUSED
    why = "takes one rank for all" if is_refused else "would scale mixed ranks otherwise"

    def say(before: Plan, after: Plan) -> Advice:
        ranks = {target.path: target.rank for target in before.targets}
        roles: dict[tuple[int, int], dict[str, None]] = {}
        for target in after.targets:
            was = ranks.get(target.path, target.rank)
            if was != target.rank:
                roles.setdefault((target.rank, was), {})[_role(target)] = None
        changed = [
            f"{listed(tuple(names))} {'gets' if len(names) == 1 else 'get'} r = {rank} instead of"
            f" {was}"
            for (rank, was), names in roles.items()
        ]
        changed.append(
            f"{exact(after.trainable_params)} trained parameters instead of"
            f" {exact(before.trainable_params)}"
        )
        return Advice(
            f"All targets get one rank and one alpha, as {who} {why}: {', '.join(changed)}."
        )

    return say


def _role(target: Target) -> str:
    """Name a role as the options do where that is clear: `gate`, `moe.shared.gate`."""
    group, _, part = target.role.value.partition(".")
    return part if group in ("attention", "ffn") else target.role.value


def _nothing_left(found: Sequence[Trouble], plan: Plan) -> PlanError:
    paths = {path for each in found for path in each.paths}
    if not {target.path for target in plan.targets} <= paths:
        return _none(found)
    return _NothingLeftError(
        f"{found[0].engine.title} serves no plan of preset {plan.preset} on this model:"
        f" {_deed(found[0])}.",
        found[0].instead,
    )


def _none(
    found: Sequence[Trouble], request: PlanRequest | None = None, match: Match | None = None
) -> PlanError:
    first = found[0]
    if first.feature is Feature.UNSUPPORTED_MODEL:
        return _NothingLeftError(
            f"{first.engine.title} serves no adapter of this model: {_deed(first)}.", first.instead
        )
    others = dict.fromkeys(each.engine.title for each in found[1:] if each.engine != first.engine)
    also = f" ({listed(tuple(others))} too has something against it.)" if others else ""
    hint = first.instead
    if request is not None and match is not None and request.rslora:
        hint = _without_rslora(first, match) or hint
    return PlanError(f"No plan as asked is served as trained by {_refusal(first)}.{also}", hint)


def _without_rslora(trouble: Trouble, match: Match) -> str:
    """Say which alpha gives the same scale without rslora; empty if that is not the matter."""
    scales = {(each.rank, each.alpha) for each in match.targets}
    if trouble.feature is not Feature.PATTERNS or len(scales) != 1:
        return ""
    rank, alpha = scales.pop()
    return (
        f"Leave out --rslora and give --alpha {plain(alpha * sqrt(rank))}: at r = {rank} the scale"
        " is the same."
    )


def _refusal(trouble: Trouble) -> str:
    return f"{trouble.engine.title} ({trouble.engine.version}): {_deed(trouble)}"


def _deed(trouble: Trouble) -> str:
    why = f", because {trouble.why}" if trouble.why else ""
    return f"it {trouble.does} {_inside(trouble.what)}{why}"


def _inside(what: str) -> str:
    """The start of a sentence, written inside of one; names such as DoRA stay as they are."""
    return what if what[1:2].isupper() or what[2:3].isupper() else what[:1].lower() + what[1:]


def _served(asked: Sequence[Engine], found: Iterable[Trouble]) -> Iterator[Advice]:
    """Say which engines serve the plan, and with which options."""
    found = tuple(found)
    unknown = {each.engine.name for each in found if each.feature is Feature.UNKNOWN_MODEL}
    known = [f"{each.title} {each.version}" for each in asked if each.name not in unknown]
    if known:
        verb = "serves" if len(known) == 1 else "serve"
        yield Advice(f"{listed(known)} {verb} this as it is trained.")
    for each in found:
        yield Advice(f"{each.engine.title} {each.does} {_inside(each.what)}.")
