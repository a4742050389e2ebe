"""Predictions of candidates: each made once, counted, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lorascope.core.errors import MemoryPredictionError, PlanError
from lorascope.core.fit import Tried
from lorascope.core.inventory import Inventory
from lorascope.core.memory import Memory
from lorascope.core.plan import Plan
from lorascope.core.training import TrainingSetup
from lorascope.planning.candidates import Candidate, Grid
from lorascope.planning.first_fitting import Point
from lorascope.planning.fitted import OnTry, Predict, needed_bytes
from lorascope.planning.make_plan import make_plan
from lorascope.planning.steps import changes

_Roles = tuple[tuple[str, ...], ...]


class Trials:
    """What is known so far of the candidates' memory."""

    def __init__(
        self,
        inventory: Inventory,
        asked: Candidate,
        limit: int,
        predict: Predict,
        on_try: OnTry | None,
        most: int,
    ) -> None:
        self.asked = asked
        self.limit = limit
        self.tried: list[Tried] = []
        """In the order in which they were tried."""
        self._inventory = inventory
        self._predict = predict
        self._on_try = on_try
        self._most = most
        self._plans: dict[tuple[_Roles, int], Plan] = {}
        self._known: dict[tuple[_Roles, int, TrainingSetup], tuple[Candidate, Memory | None]] = {}

    def plan(self, candidate: Candidate) -> Plan:
        """The candidate's plan, with its memory if that was predicted."""
        plan = self._plan(candidate)
        known = self._known.get(_key(candidate))
        return plan if known is None else replace(plan, memory=known[1])

    def memory(self, candidate: Candidate) -> Memory | None:
        """The candidate's memory; None if it cannot be predicted.

        Raises:
            MemoryPredictionError: The very first candidate cannot be predicted: what was asked.
        """
        key = _key(candidate)
        if key not in self._known:
            self._known[key] = candidate, self._try(candidate)
            if self._on_try is not None:
                self._on_try(len(self.tried), max(self._most, len(self.tried)))
        return self._known[key][1]

    def needed(self, candidate: Candidate) -> int | None:
        """What the candidate needs; None if that cannot be predicted."""
        memory = self.memory(candidate)
        return None if memory is None else needed_bytes(memory)

    def fits(self, candidate: Candidate) -> bool:
        """Whether the candidate keeps to the limit."""
        needed = self.needed(candidate)
        return needed is not None and needed <= self.limit

    def fitting(self, grid: Grid) -> Callable[[Point], bool]:
        """Whether the candidate at a point of a grid keeps to the limit."""
        return lambda point: self.fits(grid.at(point))

    def least(self) -> tuple[Candidate, Memory]:
        """Which of those tried needs least, the earliest of equals."""
        return min(self._predicted(), key=lambda pair: needed_bytes(pair[1]))

    def _predicted(self) -> Iterator[tuple[Candidate, Memory]]:
        for candidate, memory in self._known.values():
            if memory is not None:
                yield candidate, memory

    def _plan(self, candidate: Candidate) -> Plan:
        key = candidate.level.drops, candidate.unit
        if key not in self._plans:
            request = candidate.level.at(candidate.unit)
            self._plans[key] = make_plan(self._inventory, request)
        return self._plans[key]

    def _try(self, candidate: Candidate) -> Memory | None:
        told = tuple(change.short for change in changes(self.asked, candidate))
        try:
            memory = self._predict(self._plan(candidate), candidate.setup)
        except (MemoryPredictionError, PlanError) as error:
            if not self.tried:
                raise
            self.tried.append(Tried(told, None, fits=False, reason=error.what))
            return None
        needed = needed_bytes(memory)
        self.tried.append(Tried(told, needed, fits=needed <= self.limit))
        return memory


def _key(candidate: Candidate) -> tuple[_Roles, int, TrainingSetup]:
    return candidate.level.drops, candidate.unit, candidate.setup
