"""Run each case in a process of its own, and read its result."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

from lorascope.core.errors import LorascopeError
from memory_cases import Case
from memory_table import Result, mib


def result_of(case: Case, measure: Callable[[Case], int]) -> Result:
    """Measure and predict one case in this process."""
    import torch

    from lorascope.memory import Predictor

    torch.manual_seed(0)
    measured = measure(case)
    meta = case.meta_model()
    try:
        memory = Predictor(meta).predict(case.plan(meta), case.setup)
    except LorascopeError as error:
        return Result(case.described(), measured, problem=str(error))
    return Result(case.described(), measured, memory.peak_bytes, memory.peak_at)


def print_result(result: Result) -> None:
    """Print a result for `in_own_process` to read."""
    print(json.dumps(asdict(result)))


def in_own_process(script: str, case: Case) -> Result:
    """Return the result of `script --case NAME`, run by a fresh interpreter."""
    command = [sys.executable, script, "--case", case.name]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"{case.name}: {done.stderr}", file=sys.stderr)
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Result(case.described(), problem=lines[-1])
    result = Result(**json.loads(done.stdout.strip().splitlines()[-1]))
    print(f"{case.name}: {_line(result)}", file=sys.stderr)
    return result


def _line(result: Result) -> str:
    if result.problem is not None:
        return result.problem
    return (
        f"{mib(result.measured)} measured, {mib(result.predicted)} predicted, "
        f"{100 * result.error:+.2f} %"
    )
