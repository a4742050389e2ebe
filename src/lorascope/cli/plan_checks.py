"""Options of `lorascope plan` that do not go together: what would be ignored is refused."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from lorascope.cli.plan_options import STEP, TRADES
from lorascope.cli.usage import UsageError, did_you_mean, quoted

_SEE = "See: lorascope plan --help"
_NOT_WITH_COMPARE = (
    "output",
    "snippet",
    "preset",
    "task",
    "roles",
    "max_params",
    "trade",
    "scores",
    "memory_facts",
)


def asks_for_memory(options: argparse.Namespace) -> bool:
    """Whether any option asks for the memory of a training step."""
    asking = ("memory", "memory_facts", "plot", "max_memory")
    return any(getattr(options, name) for name in asking) or any(_given_of_step(options))


def _given_of_step(options: argparse.Namespace) -> Iterator[str]:
    return (name for name in STEP if getattr(options, name) is not None)


def check(options: argparse.Namespace) -> None:
    """Refuse what would be ignored.

    Raises:
        UsageError: Options that exclude each other are given together, one that needs another is
            given alone, or a value can be told to be wrong without the model.
    """
    if options.output == "":
        raise UsageError("lorascope plan: --output is empty; expected a directory.")
    if options.scores == "":
        raise UsageError("lorascope plan: --scores is empty; expected a file.", _SEE)
    if options.compare:
        for name in _NOT_WITH_COMPARE:
            if getattr(options, name):
                raise _both(
                    "compare", name, "--compare shows all presets, of which none is chosen."
                )
    elif options.plot is not None:
        raise UsageError(
            "lorascope plan: --plot is given without --compare.",
            "It shows all presets by parameters and peak memory: add --compare.",
        )
    if options.force and options.output is None and options.plot is None:
        raise UsageError(
            "lorascope plan: --force is given without --output or --plot.",
            "Say where to write: -o DIR",
        )
    if options.snippet and options.max_memory is None:
        asking = (name for name in ("memory", "memory_facts") if getattr(options, name))
        for name in (*asking, *_given_of_step(options)):
            raise _both("snippet", name, "The code says nothing of memory.")
    if options.trade is not None:
        _check_trades(options)


def _check_trades(options: argparse.Namespace) -> None:
    if options.max_memory is None:
        raise UsageError(
            "lorascope plan: --trade is given without --max-memory.",
            "It says what may be given up to keep to --max-memory.",
        )
    for word in options.trade:
        if word not in TRADES:
            raise UsageError(
                f"lorascope plan: argument --trade: {quoted(word)} is not one of"
                f" {', '.join(TRADES)}.{did_you_mean(word, TRADES)}",
                "For example --trade checkpointing,batch,quantization.",
            )


def _both(first: str, second: str, hint: str) -> UsageError:
    return UsageError(
        f"lorascope plan: --{first} and --{second.replace('_', '-')} are both given;"
        " expected one of them.",
        hint,
    )
