"""Compare predicted peaks with the CPU allocator's true ones, and write docs/memory-measured.md.

Each case is a process of its own: it builds the model with random weights, injects the adapter,
runs two training steps under the PyTorch profiler, whose memory events are the allocator's own,
and takes the most that lived during the second step. Then the same step is predicted.
Usage: python benchmarks/memory_cpu.py [--write FILE] [--only NAME ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

import memory_bnb
import memory_page
from lorascope.memory.optimizers import make_optimizer
from memory_cases import Case, batch_of, injected, train_step
from memory_cpu_cases import CASES
from memory_process import results

STEP = "measured step"


def main() -> int:
    """Run every case, print the page, and write it if asked; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), default=[], metavar="NAME")
    arguments = parser.parse_args()
    cases = [CASES[name] for name in arguments.only or CASES]
    found = list(results(filter(can_run, cases), peak_of_second_step))
    page = memory_page.page(found)
    print(page)
    if arguments.write:
        arguments.write.write_text(page, encoding="utf-8")
    return 0 if all(row.is_met for row in found) else 1


def can_run(case: Case) -> bool:
    """Return whether what the case needs is installed."""
    return case.setup.quantization == "none" or memory_bnb.is_installed()


def peak_of_second_step(case: Case) -> int:
    """Return the most bytes that the allocator had handed out at once in the second step."""
    plan = case.plan(case.meta_model())
    # From before the first weight on, so that the sum over the events is all that lives.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        model = injected(case, "cpu", plan)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = make_optimizer(case.setup, trained)
        batch = batch_of(case, "cpu")
        train_step(model, batch, optimizer)
        with record_function(STEP):
            train_step(model, batch, optimizer)
    return max(totals_within(profiler, STEP))


def totals_within(profiler: Any, span: str) -> Iterator[int]:
    """Yield how many bytes lived after each event of the allocator within a named span."""
    events = profiler.profiler.kineto_results.events()
    (step,) = (event for event in events if event.name() == span)
    begin, end = step.start_ns(), step.start_ns() + step.duration_ns()
    changes = sorted(
        ((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"),
        key=lambda change: change[0],
    )
    totals = accumulate(size for _, size in changes)
    return (total for (at, _), total in zip(changes, totals, strict=True) if begin <= at <= end)


if __name__ == "__main__":
    raise SystemExit(main())
