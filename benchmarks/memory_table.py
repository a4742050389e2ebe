"""Results of the memory benchmarks, and the table they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BOUND = 0.05
"""Largest error that is allowed, as a share of what was measured."""

_HEAD = (
    "model", "placement", "dropout", "base", "adapter", "checkpointing", "optimizer",
    "tokens", "blocks run", "measured", "predicted", "error", "peak at",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One case, measured and predicted; or why it could not be."""

    case: dict[str, Any]
    """As `Case.described` gives it."""
    measured: int = 0
    """Bytes at the peak of the second step."""
    predicted: int = 0
    peak_at: str = ""
    blocks: tuple[int, int] = (0, 0)
    """Blocks that the prediction ran, of how many."""
    problem: str | None = None
    """Why there are no figures."""

    @property
    def error(self) -> float:
        """How much too high the prediction is, as a share of what was measured."""
        return self.predicted / self.measured - 1

    @property
    def is_met(self) -> bool:
        """Whether the prediction is within the bound."""
        return self.problem is None and abs(self.error) <= BOUND


def table(results: Sequence[Result]) -> str:
    """Return one row a case, as Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(result) for result in results)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def verdict(results: Sequence[Result]) -> str:
    """Return how many keep the bound and the largest error, as one sentence."""
    met = sum(result.is_met for result in results)
    errors = [abs(result.error) for result in results if result.problem is None]
    largest = f"{100 * max(errors):.2f} %" if errors else "none"
    return (
        f"{met} of {len(results)} within {100 * BOUND:.0f} %; the largest error of those "
        f"measured is {largest}."
    )


def _row(result: Result) -> tuple[str, ...]:
    case = result.case
    base = case["dtype"] if case["quantization"] == "none" else case["quantization"]
    told = (
        case["model"],
        case["preset"],
        f"{case['dropout']:g}",
        base,
        case["adapter_dtype"],
        "yes" if case["gradient_checkpointing"] else "no",
        case["optimizer"],
        f"{case['batch_size']} × {case['seq_len']:,}",
    )
    if result.problem is not None:
        return (*told, "–", "–", "–", "–", result.problem.replace("|", "/"))
    mark = "" if result.is_met else " **(beyond the bound)**"
    return (
        *told,
        "{} of {}".format(*result.blocks),
        mib(result.measured),
        mib(result.predicted),
        f"{100 * result.error:+.2f} %{mark}",
        result.peak_at,
    )


def mib(size: int) -> str:
    """Return bytes as MiB."""
    return f"{size / 2**20:,.1f} MiB"
