"""What the report reads of a plan made to fit a budget: `lorascope.planning.fitted`, in part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lorascope.core.plan import Advice, Plan


class Step(Protocol):
    """One thing that was given up."""

    @property
    def trade(self) -> str:
        """What kind of thing."""

    @property
    def before(self) -> str:
        """What was asked, in words."""

    @property
    def after(self) -> str:
        """What the plan has instead."""

    @property
    def needed_bytes(self) -> int | None:
        """What the plan needs with this step and all before it; None if not predicted."""

    @property
    def advice(self) -> Advice:
        """Why this one."""


class Tried(Protocol):
    """One candidate whose memory was predicted."""

    @property
    def changes(self) -> tuple[str, ...]:
        """How it differs from what was asked."""

    @property
    def needed_bytes(self) -> int | None:
        """Peak and overhead; None if they could not be predicted."""

    @property
    def fits(self) -> bool:
        """Whether that is within the budget."""

    @property
    def reason(self) -> str | None:
        """Why it could not be predicted."""


class Fit(Protocol):
    """A plan within a budget, and how it came to be."""

    @property
    def plan(self) -> Plan:
        """The plan, with its memory."""

    @property
    def accumulation(self) -> int:
        """Batches to accumulate for one optimizer step."""

    @property
    def steps(self) -> Sequence[Step]:
        """What was given up, in order."""

    @property
    def tried(self) -> Sequence[Tried]:
        """Candidates in the order in which they were tried."""
