"""The page docs/memory-measured.md: measured peaks, and how long a prediction takes."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from memory_table import Result, mib, table, verdict
from memory_timing import BOUNDS, MOST_BYTES, Timing
from run import cpu_name, readable

_ABOUT_CPU = """\
Made by `make bench-memory` (`benchmarks/memory_cpu.py`); do not edit.

Each row is a process of its own. It builds the model with random weights, injects the adapter with
PEFT, and runs two real training steps: forward with the model's own loss, backward, optimizer step,
gradients freed. **Measured** is the most that PyTorch's CPU allocator had handed out at once during
the second step, from its own memory events (`torch.profiler`, `profile_memory=True`), weights and
optimizer state included. **Predicted** is what lorascope says of the same step without weights.
Memory that kernels take past PyTorch's allocator (oneDNN, MKL) is in neither."""


def page(results: Sequence[Result], timed: Sequence[Timing]) -> str:
    """Return the page."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    parts = [
        "# Predicted memory against measured memory",
        _ABOUT_CPU,
        f"Measured on {os.cpu_count()} cores ({cpu_name()}), Python {platform.python_version()}, "
        f"{packages}.",
        verdict(results),
        table(results),
    ]
    if timed:
        parts += ["## Time and memory of a prediction", _times(timed)]
    return "\n\n".join(parts) + "\n"


def _times(timed: Sequence[Timing]) -> str:
    lines = [
        "Whole processes, medians: `lorascope plan MODEL --batch-size 1 --seq-len 2048`, in turn",
        "with `benchmarks/reference_build.py`, which only imports the libraries and builds the",
        "same model on the meta device. A model seen before has its inventory in the cache; for",
        "the first time it is inspected and observed as well.",
        "",
        "| model | | time | bound | peak resident | bound | import and build alone | ratio | met |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {timing.model} | {timing.what} | {timing.seconds:.2f} s | {BOUNDS[timing.model]:.0f} s "
        f"| {mib(timing.peak_bytes)} | {mib(MOST_BYTES)} | {timing.reference_seconds:.2f} s "
        f"| {readable(timing.seconds / timing.reference_seconds)} "
        f"| {'yes' if timing.is_met else 'no'} |"
        for timing in timed
    ]
    return "\n".join(lines)
