"""Compare predicted peaks with `torch.cuda.max_memory_allocated`, and write a table.

Each case is a process of its own: it builds the model with random weights on the GPU, injects the
adapter, runs two training steps and reads the allocator's peak of the second. nf4 and int8 are left
out without bitsandbytes. Usage: python benchmarks/memory_gpu.py [--write FILE] [--json FILE]
[--only NAME ...] [--predict-only]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

import memory_bnb
from lorascope.core.errors import LorascopeError
from lorascope.memory import Predictor
from lorascope.memory.optimizers import make_optimizer
from memory_cases import Case, batch_of, injected, train_step
from memory_gpu_cases import CASES
from memory_process import results
from memory_table import Result, mib, table, verdict


def main() -> int:
    """Run every case, print the table, and write it if asked; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    parser.add_argument("--json", type=Path, help="JSON file to write")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), default=[], metavar="NAME")
    parser.add_argument("--predict-only", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    cases = [CASES[name] for name in arguments.only or CASES]
    if arguments.predict_only:
        return predict_only(cases)
    if not torch.cuda.is_available():
        print("No CUDA device here; --predict-only runs the predictions alone.", file=sys.stderr)
        return 2
    found = list(results(filter(can_run, cases), peak_of_second_step))
    text = page(found)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    if arguments.json:
        rows = [asdict(result) for result in found]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if all(result.is_met for result in found) else 1


def can_run(case: Case) -> bool:
    """Return whether what the case needs is installed."""
    return case.setup.quantization == "none" or memory_bnb.is_installed()


def peak_of_second_step(case: Case) -> int:
    """Return the most bytes that the caching allocator had handed out in the second step."""
    model = injected(case, "cuda", case.plan(case.meta_model()))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(case.setup, trained)
    batch = batch_of(case, "cuda")
    train_step(model, batch, optimizer)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    train_step(model, batch, optimizer)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def predict_only(cases: Sequence[Case]) -> int:
    """Print each prediction; 1 if one fails."""
    failed = 0
    for case in cases:
        meta = case.meta_model()
        try:
            memory = Predictor(meta).predict(case.plan(meta), case.setup)
        except LorascopeError as error:
            failed += 1
            print(f"{case.name}: {error}")
        else:
            print(f"{case.name}: {mib(memory.peak_bytes)} at {memory.peak_at}", flush=True)
    return 1 if failed else 0


def page(rows: Sequence[Result]) -> str:
    """Return the page with the table."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    parts = (
        "# Predicted memory against a GPU's",
        "Made by `make bench-memory-gpu` (`benchmarks/memory_gpu.py`); do not edit. Measured: "
        "`torch.cuda.max_memory_allocated` over the second training step, cuBLAS workspaces "
        "included.",
        f"Measured on {torch.cuda.get_device_name()}, {packages}.",
        verdict(rows),
        table(rows),
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
