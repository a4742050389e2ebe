"""The page docs/memory-measured.md: measured and predicted peaks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from memory_table import Result, table, verdict
from run import cpu_name

_ABOUT_CPU = """\
Made by `make bench-memory` (`benchmarks/memory_cpu.py`); do not edit.

Each row is a process of its own. It builds the model with random weights, injects the adapter with
PEFT, and runs two real training steps: forward with the model's own loss, backward, optimizer step,
gradients freed. **Measured** is the most that PyTorch's CPU allocator had handed out at once during
the second step, from its own memory events (`torch.profiler`, `profile_memory=True`), weights and
optimizer state included. **Predicted** is what lorascope says of the same step without weights.
Memory that kernels take past PyTorch's allocator (oneDNN, MKL) is in neither."""


def page(results: Sequence[Result]) -> str:
    """Return the page."""
    parts = [
        "# Predicted memory against measured memory",
        _ABOUT_CPU,
        measured_on(),
        verdict(results),
        table(results),
    ]
    return "\n\n".join(parts) + "\n"


def measured_on() -> str:
    """Return the sentence that names machine and versions."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    return (
        f"Measured on {os.cpu_count()} cores ({cpu_name()}), Python {platform.python_version()}, "
        f"{packages}."
    )
