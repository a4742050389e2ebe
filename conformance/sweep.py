"""Walk every model type of the installed transformers and measure what lorascope makes of it.

Usage: python conformance/sweep.py [--write docs/conformance.md] [--sample] [--types bert,llama]
       [--processes 2]
Exit status 1 if a floor is missed; each missed floor is printed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
import transformers
from measure import measure
from model_types import Case, cases
from result import Result
from summary import Summary
from table import page

FEWEST_BUILT = 564
"""Model types of transformers 5.23.0 that build without vision extras."""

MOST_UNKNOWN = 0.02
"""Share of adaptable modules that may be without a role."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="write the page to this file")
    parser.add_argument("--sample", action="store_true", help="only one type of each architecture")
    parser.add_argument("--types", help="only these model types, separated by commas")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at a time")
    arguments = parser.parse_args()
    _quiet()

    chosen = cases(arguments.sample)
    if arguments.types:
        wanted = set(arguments.types.split(","))
        chosen = tuple(case for case in chosen if case.model_type in wanted)
    start = time.perf_counter()
    results = tuple(_measured(chosen, arguments.processes))
    seconds = time.perf_counter() - start
    computed = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = Summary(results, seconds, computed.ru_utime + computed.ru_stime, arguments.processes)
    if arguments.write:
        arguments.write.write_text(page(summary), encoding="utf-8")
    whole = not (arguments.sample or arguments.types)
    missed = tuple(missed_floors(summary, whole))
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    _print_figures(summary)
    return 1 if missed else 0


def _quiet() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)


def _measured(chosen: tuple[Case, ...], processes: int) -> Iterator[Result]:
    # The next class is taken as soon as one is done: they differ a hundredfold in time.
    with ProcessPoolExecutor(processes, initializer=_quiet) as pool:
        for number, result in enumerate(pool.map(measure, chosen), start=1):
            _show_progress(number, len(chosen), result.case)
            yield result


def _show_progress(number: int, total: int, case: Case) -> None:
    if sys.stderr.isatty():
        print(f"\r{number}/{total} {case.cls:60.60}", end="", file=sys.stderr, flush=True)
    elif number % 100 == 0 or number == total:
        print(f"{number}/{total} {case.cls}", file=sys.stderr, flush=True)


def _print_figures(summary: Summary) -> None:
    print(
        f"{len(summary.built_types)} of {len(summary.types)} model types, "
        f"{summary.unknown} of {summary.adaptable} modules unknown, "
        f"{len(summary.dead)} kinds of dead targets, {summary.seconds:.0f} s"
    )
    for rate in summary.rates:
        ran = len(rate.types) - len(rate.failed)
        print(f"{rate.kind}: {ran} of {len(rate.types)} model types run ({100 * rate.share:.1f} %)")
    compared = sum(seen.compared for _, seen in summary.passes)
    agreeing = sum(seen.agreeing for _, seen in summary.passes)
    print(f"{agreeing} of {compared} modules agree")


def missed_floors(summary: Summary, whole: bool) -> Iterator[str]:
    """Yield a sentence on each thing that is not as it must be."""
    if summary.unknown > MOST_UNKNOWN * summary.adaptable:
        yield f"{summary.unknown} of {summary.adaptable} adaptable modules have no role"
    if summary.unknown_in_causal_blocks:
        yield f"{summary.unknown_in_causal_blocks} modules in causal-LM blocks have no role"
    for result in summary.built:
        for path in sorted(result.ambiguous):
            yield f"{result.case.cls}: two rows of the role tables disagree on {path}"
    for rate in summary.rates:
        if rate.share < rate.target:
            failed = ", ".join(sorted(rate.failed))
            yield f"the forward pass of {100 * rate.share:.1f} % of {rate.kind} runs, not {failed}"
    for model_type, difference, explained in summary.differences:
        if explained is None:
            yield (
                f"{model_type}: {difference.path} is named {difference.named}"
                f" but was seen as {difference.observed}"
            )
    yield from summary.dead_missed
    if whole:
        yield from _missed_in_whole(summary)
    elif len(summary.built_types) < len(summary.types):
        yield f"{len(summary.types) - len(summary.built_types)} model types were not built"


def _missed_in_whole(summary: Summary) -> Iterator[str]:
    if len(summary.built_types) < FEWEST_BUILT:
        yield f"only {len(summary.built_types)} model types gave an inventory"
    for rule in summary.idle_rules:
        yield f"row {rule.name} ({rule.role}) gave no module its role"
    for explained in summary.stale_explanations:
        yield f"no difference left for the explanation of {explained.path} ({explained.why})"


if __name__ == "__main__":
    sys.exit(main())
