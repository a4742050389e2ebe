"""From what was asked to a candidate, one trade after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lorascope.planning.candidates import Candidate
from lorascope.planning.words import listed


@dataclass(frozen=True, slots=True)
class Change:
    """One trade on the way to a candidate."""

    trade: str
    """One of `lorascope.planning.preferences.TRADES`."""
    before: str
    after: str
    short: str
    """As one item of a list: `gradient checkpointing`."""
    ground: str
    """Its row in `lorascope.planning.preferences.GROUNDS`."""
    reached: Candidate | None
    """What was asked, with this change and all before it; None between two drops of roles."""


def changes(asked: Candidate, candidate: Candidate) -> tuple[Change, ...]:
    """Return the changes from what was asked to a candidate, the cheapest trade first."""
    found: list[Change] = []
    here = asked
    for change in (_checkpointing, _batch, _rank, _quantization):
        made = change(here, candidate)
        if made is not None and made.reached is not None:
            found.append(made)
            here = made.reached
    return (*found, *drops(candidate, len(asked.level.drops)))


def drops(candidate: Candidate, first: int) -> Iterator[Change]:
    """Yield the roles that a candidate's level drops, from the `first` of them on."""
    for words in candidate.level.drops[first:]:
        names = listed(words)
        yield Change(
            "roles",
            names,
            "",
            f"without {names}",
            words[0],
            candidate if words == candidate.level.drops[-1] else None,
        )


def _checkpointing(here: Candidate, aim: Candidate) -> Change | None:
    after = aim.setup.gradient_checkpointing
    if after is here.setup.gradient_checkpointing:
        return None
    reached = replace(here, setup=replace(here.setup, gradient_checkpointing=after))
    name = "gradient checkpointing"
    return Change("checkpointing", "off", "on", name, "checkpointing", reached)


def _batch(here: Candidate, aim: Candidate) -> Change | None:
    before, after = here.setup.batch_size, aim.setup.batch_size
    if before == after:
        return None
    times = aim.setup.accumulation
    reached = replace(here, setup=replace(here.setup, batch_size=after, accumulation=times))
    return Change("batch", str(before), str(after), f"batch {after}", "batch", reached)


def _rank(here: Candidate, aim: Candidate) -> Change | None:
    before, after = here.rank, aim.rank
    if before == after:
        return None
    reached = replace(here, unit=aim.unit)
    return Change("rank", str(before), str(after), f"rank {after}", "rank", reached)


def _quantization(here: Candidate, aim: Candidate) -> Change | None:
    before, after = here.setup.quantization, aim.setup.quantization
    if before == after:
        return None
    reached = replace(here, setup=replace(here.setup, quantization=after))
    return Change("quantization", before, after, after, "quantization", reached)
