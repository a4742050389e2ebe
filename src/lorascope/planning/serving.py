"""A plan that means the same on every serving engine asked for, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from lorascope.core.errors import PlanError
from lorascope.core.inventory import Inventory
from lorascope.core.plan import Advice, Plan
from lorascope.matching import Match
from lorascope.planning.request import PlanRequest
from lorascope.planning.words import listed
from lorascope.serving.engines import Engine, Feature, engines
from lorascope.serving.troubles import Severity, Trouble, troubles

Make = Callable[[Inventory, PlanRequest], tuple[Plan, Match]]

_MOST_STEPS = 8
"""More than there are ways to change a request."""


def served_plan(inventory: Inventory, request: PlanRequest, make: Make) -> Plan:
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
    asked = tuple(engines()[name] for name in request.serve)
    said: list[Advice] = []
    plan, match = make(inventory, request)
    for _ in range(_MOST_STEPS):
        found = [each for engine in asked for each in troubles(engine, inventory, match)]
        hard = [each for each in found if each.severity is not Severity.OPTION]
        if not hard:
            return replace(plan, advice=(*plan.advice, *said, *_served(asked, found)))
        request, advice = _changed(request, hard)
        said.append(advice)
        try:
            plan, match = make(inventory, request)
        except PlanError:  # nothing is left
            raise _none(hard) from None
    raise _none(hard)


def _changed(request: PlanRequest, found: Sequence[Trouble]) -> tuple[PlanRequest, Advice]:
    """Change the request so that the first of the troubles that can be avoided is.

    Raises:
        PlanError: None of them can.
    """
    for trouble in found:
        changed = _without(request, trouble)
        if changed is not None:
            return changed
    raise _none(found)


def _without(request: PlanRequest, trouble: Trouble) -> tuple[PlanRequest, Advice] | None:
    """Change what the preset implies, so that the trouble is gone; None if it is asked for."""
    who = trouble.engine.title
    match trouble.feature:
        case Feature.PATTERNS if not request.uniform and not request.has_own_ranks:
            return replace(request, uniform=True), Advice(
                f"All targets get one rank and one alpha: {who} {trouble.does} other."
            )
        case Feature.REGEX_TARGETS if not request.listed:
            return replace(request, listed=True), Advice(
                f"The targets are written as a list: {who} takes no regular expression."
            )
        case Feature.EXPERT_PARAMETERS if request.experts is None and not request.roles:
            return replace(request, experts=False), Advice(
                f"Routed experts are left out: {who} {trouble.does} LoRA on stacked expert"
                " parameters."
            )
        case Feature.TIED_HEAD | Feature.UNKNOWN_NAME if trouble.paths and not request.roles:
            names = dict.fromkeys(path.rpartition(".")[2] for path in trouble.paths)
            return replace(request, exclude=(*request.exclude, *trouble.paths)), Advice(
                f"{listed(tuple(names))} is left out: {who} {trouble.does} LoRA there."
            )
    return None


def _none(found: Sequence[Trouble]) -> PlanError:
    first = found[0]
    others = dict.fromkeys(each.engine.title for each in found[1:] if each.engine != first.engine)
    also = f" ({listed(tuple(others))} too has something against it.)" if others else ""
    why = f", because {first.why}" if first.why else ""
    return PlanError(
        f"No plan as asked is served as trained by {first.engine.title} ({first.engine.version}):"
        f" it {first.does} {_inside(first.what)}{why}.{also}",
        first.instead,
    )


def _inside(what: str) -> str:
    """The start of a sentence, written inside of one; names such as DoRA stay as they are."""
    return what if what[1:2].isupper() or what[2:3].isupper() else what[:1].lower() + what[1:]


def _served(asked: Sequence[Engine], found: Iterable[Trouble]) -> Iterator[Advice]:
    """Say which engines serve the plan, and with which options."""
    titles = listed([f"{engine.title} {engine.version}" for engine in asked])
    yield Advice(f"{titles} {'serves' if len(asked) == 1 else 'serve'} this as it is trained.")
    for each in found:
        yield Advice(f"{each.engine.title} {each.does} {_inside(each.what)}.")
