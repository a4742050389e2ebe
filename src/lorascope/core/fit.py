"""A plan made to fit a budget: what was given up for that, why, and what was tried."""

from __future__ import annotations

from dataclasses import dataclass

from lorascope.core.plan import Advice, Plan
from lorascope.core.training import TrainingSetup


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was given up."""

    trade: str
    """One of `lorascope.planning.TRADES`."""
    before: str
    after: str
    """What was asked and what the plan has, as words: `off` and `on`, `8` and `2`, `k` and ``."""
    needed_bytes: int | None
    """What the plan needs with this step and all before it; None if that was not predicted."""
    advice: Advice
    """Why this one, with its ground."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One candidate whose memory was predicted."""

    changes: tuple[str, ...]
    """How it differs from what was asked; empty for the plan as asked."""
    needed_bytes: int | None
    """Predicted peak and estimated overhead; None if the step could not be predicted."""
    fits: bool
    reason: str | None = None
    """Why it could not be predicted."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best plan within a budget, and how it came to be."""

    plan: Plan
    """With its memory, where a setup was given. Its advice starts with that of the steps."""
    setup: TrainingSetup | None
    """The training step as it fits; None if none was given."""
    accumulation: int = 1
    """Batches to accumulate for one optimizer step, so that it sees as many tokens as asked."""
    steps: tuple[Step, ...] = ()
    """What was given up, the cheapest first; empty if the plan fits as asked."""
    tried: tuple[Tried, ...] = ()
    """In the order in which they were tried; beside scores only those of the chosen modules."""
    score: float | None = None
    """Total score of the adapted modules; None if no scores were given."""
