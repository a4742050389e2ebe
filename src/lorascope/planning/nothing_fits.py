"""What to say where no candidate fits: what is missing, and which single change comes nearest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lorascope.core.errors import PlanError
from lorascope.core.numbers import size
from lorascope.planning.candidates import Candidate
from lorascope.planning.levels import Level
from lorascope.planning.steps import changes, drops
from lorascope.planning.trials import Trials

MOST_CHANGES = 7
"""Most predictions that `refusal` adds."""


def refusal(trials: Trials, levels: tuple[Level, ...]) -> PlanError:
    """Return the error for a budget that no candidate keeps to.

    Each single change that was not allowed is tried on the candidate that needs least. The first
    that fits is named, in the order of what it costs; if none does, the one that needs least.

    Args:
        trials: What was tried; all of it is too large.
        levels: The request with all its roles, then with fewer and fewer, whether or not that was
            allowed.
    """
    least, memory = trials.least()
    needed = trials.needed(least) or 0
    limit = trials.limit
    told = [change.short for change in changes(trials.asked, least)]
    how = f" ({', '.join(told)})" if told else ""
    what = (
        f"--max-memory {size(limit)}: nothing fits. The least is {size(needed)}{how},"
        f" {size(needed - limit)} too much."
    )
    if memory.parts.base > limit:
        what += f" The base weights alone take {size(memory.parts.base)}."
    return PlanError(what, _nearest(trials, _single_changes(least, levels)))


def _nearest(trials: Trials, options: Iterator[tuple[str, Candidate]]) -> str | None:
    nearest: tuple[int, str] | None = None
    for name, candidate in options:
        needed = trials.needed(candidate)
        if needed is None:
            continue
        if needed <= trials.limit:
            return f"One more change would do: with {name} it needs {size(needed)}."
        if nearest is None or needed < nearest[0]:
            nearest = needed, name
    if nearest is None:
        return None
    needed, name = nearest
    return (
        f"The single change that comes nearest is {name}: {size(needed)},"
        f" {size(needed - trials.limit)} too much."
    )


def _single_changes(here: Candidate, levels: tuple[Level, ...]) -> Iterator[tuple[str, Candidate]]:
    """Changes that the candidate does not have yet, the cheapest first, each as far as it goes."""
    setup = here.setup
    if not setup.gradient_checkpointing:
        changed = replace(setup, gradient_checkpointing=True)
        yield "--gradient-checkpointing", replace(here, setup=changed)
    if setup.batch_size > 1:
        times = setup.accumulation * setup.batch_size
        changed = replace(setup, batch_size=1, accumulation=times)
        name = f"--batch-size 1 --gradient-accumulation {times}"
        yield name, replace(here, setup=changed)
    lowest = here.level.lowest
    if here.unit > lowest:
        yield f"rank {here.level.main_rank * lowest}", replace(here, unit=lowest)
    if setup.quantization != "nf4":
        yield "--quantization nf4", replace(here, setup=replace(setup, quantization="nf4"))
    if levels and len(levels[-1].drops) > len(here.level.drops):
        fewest = replace(here, level=levels[-1])
        gone = ", ".join(change.before for change in drops(fewest, len(here.level.drops)))
        yield f"no {gone}", fewest
    if setup.seq_len > 1:
        halved = setup.seq_len // 2
        yield f"--seq-len {halved}", replace(here, setup=replace(setup, seq_len=halved))
