"""The plans that a budget may be met with: what was asked, and what it becomes step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lorascope.core.training import TrainingSetup
from lorascope.planning.first_fitting import Axis, Point
from lorascope.planning.levels import Level


@dataclass(frozen=True, slots=True)
class Candidate:
    """One plan and the way to train it."""

    level: Level
    unit: int
    setup: TrainingSetup

    @property
    def rank(self) -> int:
        """Rank of the main targets."""
        return self.level.main_rank * self.unit


@dataclass(frozen=True, slots=True)
class Grid:
    """The candidates of one level, ordered so that the first that fits gives up least."""

    level: Level
    setup: TrainingSetup
    """As asked."""
    quantizations: tuple[str, ...]
    batches: tuple[int, ...]
    checkpointings: tuple[bool, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The dearest first: quantization, rank, batch, checkpointing.

        A lower rank or a smaller batch never needs more memory; the gradients that accumulate with
        the smaller batch are taken to be less than what its sequences kept. Nothing is taken for
        granted of the others: a quantized weight is unpacked where it is used, and a recomputed
        block lies beside what is kept.
        """
        return (
            Axis(len(self.quantizations), is_monotone=False),
            Axis(len(self.level.units), is_monotone=True),
            Axis(len(self.batches), is_monotone=True),
            Axis(len(self.checkpointings), is_monotone=False),
        )

    def at(self, point: Point) -> Candidate:
        """The candidate at a point of the axes."""
        quantization, unit, batch, checkpointing = point
        size = self.batches[batch]
        return Candidate(
            self.level,
            self.level.units[unit],
            replace(
                self.setup,
                quantization=self.quantizations[quantization],
                batch_size=size,
                accumulation=self.setup.accumulation * self.setup.batch_size // size,
                gradient_checkpointing=self.checkpointings[checkpointing],
            ),
        )


def grid(level: Level, setup: TrainingSetup, trades: Sequence[str]) -> Grid:
    """Return the candidates of one level.

    A batch becomes one that divides it, so that whole batches add up to it. int8 is not tried
    unless asked: nf4 is smaller, and what there is of evidence on training is about nf4.

    Args:
        level: Roles and ranks.
        setup: The training step as asked.
        trades: Which of `lorascope.planning.preferences.TRADES` may be given up.
    """
    asked = setup.batch_size
    may_quantize = "quantization" in trades and setup.quantization != "nf4"
    may_checkpoint = "checkpointing" in trades and not setup.gradient_checkpointing
    return Grid(
        level,
        setup,
        (setup.quantization, "nf4") if may_quantize else (setup.quantization,),
        tuple(_divisors(asked)) if "batch" in trades else (asked,),
        (False, True) if may_checkpoint else (setup.gradient_checkpointing,),
    )


def _divisors(number: int) -> Iterator[int]:
    """Divisors, the largest first."""
    small = [each for each in range(1, int(number**0.5) + 1) if number % each == 0]
    yield from (number // each for each in small)
    yield from (each for each in reversed(small) if each * each != number)
