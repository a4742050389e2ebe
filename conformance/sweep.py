"""Walk every model type of the installed transformers and measure what lorascope makes of it.

Usage: python conformance/sweep.py [--write docs/conformance.md] [--sample] [--types bert,llama]
Exit status 1 if a floor is missed; each missed floor is printed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import transformers
from explained import EXPLAINED
from measure import Result, measure
from model_types import Case, cases
from table import Summary, page

FEWEST_BUILT = 564
"""Model types of transformers 5.23.0 that build without vision extras."""

FEWEST_OBSERVED = 120
"""Causal-LM classes whose attention can be observed."""

MOST_UNKNOWN = 0.02
"""Share of adaptable modules that may be without a role."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--sample", action="store_true", help="only one type of each architecture")
    parser.add_argument("--types", help="only these model types, separated by commas")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()

    chosen = cases(arguments.sample)
    if arguments.types:
        wanted = set(arguments.types.split(","))
        chosen = tuple(case for case in chosen if case.model_type in wanted)
    summary = Summary(tuple(_measured(chosen)))
    if arguments.write:
        arguments.write.write_text(page(summary, EXPLAINED), encoding="utf-8")
    whole = not (arguments.sample or arguments.types)
    missed = tuple(_missed_floors(summary, whole))
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    print(
        f"{len(summary.built_types)} of {len(summary.types)} model types, "
        f"{summary.unknown} of {summary.adaptable} modules unknown, "
        f"{len(summary.observed)} of {len(summary.causal)} causal LMs observed, "
        f"{len(summary.agreeing)} agree"
    )
    return 1 if missed else 0


def _measured(chosen: tuple[Case, ...]) -> Iterator[Result]:
    for number, case in enumerate(chosen, start=1):
        _show_progress(number, len(chosen), case)
        yield measure(case, observe=True)


def _show_progress(number: int, total: int, case: Case) -> None:
    if sys.stderr.isatty():
        print(f"\r{number}/{total} {case.cls:60.60}", end="", file=sys.stderr, flush=True)
    elif number % 100 == 0 or number == total:
        print(f"{number}/{total} {case.cls}", file=sys.stderr, flush=True)


def _missed_floors(summary: Summary, whole: bool) -> Iterator[str]:
    if summary.unknown > MOST_UNKNOWN * summary.adaptable:
        yield f"{summary.unknown} of {summary.adaptable} adaptable modules have no role"
    if summary.unknown_in_causal_blocks:
        yield f"{summary.unknown_in_causal_blocks} modules in causal-LM blocks have no role"
    for result in summary.built:
        for path in sorted(result.ambiguous):
            yield f"{result.case.cls}: two rows of the role tables disagree on {path}"
    for result in summary.observed:
        for difference in result.differences:
            if (result.case.model_type, difference.path) not in EXPLAINED:
                yield (
                    f"{result.case.model_type}: {difference.path} is named {difference.named}"
                    f" but was seen as {difference.observed}"
                )
    if whole:
        yield from _missed_in_whole(summary)
    elif len(summary.built_types) < len(summary.types):
        yield f"{len(summary.types) - len(summary.built_types)} model types were not built"


def _missed_in_whole(summary: Summary) -> Iterator[str]:
    if len(summary.built_types) < FEWEST_BUILT:
        yield f"only {len(summary.built_types)} model types gave an inventory"
    if len(summary.observed) < FEWEST_OBSERVED:
        yield f"only {len(summary.observed)} causal LMs could be observed"
    for rule in summary.idle_rules:
        yield f"row {rule.name} ({rule.role}) gave no module its role"


if __name__ == "__main__":
    sys.exit(main())
