"""Run each case in a process of its own."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from memory_cases import Case
from memory_table import Result, mib

_LIBRARIES = ["lorascope.memory", "peft", "transformers"]
"""Imported once, by the process that the others are forked from."""


def results(cases: Iterable[Case], measure: Callable[[Case], int]) -> Iterator[Result]:
    """Yield each case's result, from a fresh process that has done nothing but import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LIBRARIES)
    for case in cases:
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            try:
                result = pool.submit(_result_of, case, measure).result()
            except Exception as error:  # whatever fails is told in the table
                result = Result(case.described(), problem=f"{type(error).__name__}: {error}")
        print(f"{case.name}: {_line(result)}", file=sys.stderr, flush=True)
        yield result


def _result_of(case: Case, measure: Callable[[Case], int]) -> Result:
    import torch

    from lorascope.core.errors import LorascopeError
    from lorascope.memory import Predictor

    torch.manual_seed(0)
    measured = measure(case)
    meta = case.meta_model()
    try:
        memory = Predictor(meta).predict(case.plan(meta), case.setup)
    except LorascopeError as error:
        return Result(case.described(), measured, problem=str(error))
    blocks = memory.layers_run, memory.layers_total
    return Result(case.described(), measured, memory.peak_bytes, memory.peak_at, blocks)


def _line(result: Result) -> str:
    if result.problem is not None:
        return result.problem
    return (
        f"{mib(result.measured)} measured, {mib(result.predicted)} predicted, "
        f"{100 * result.error:+.2f} %, at {result.peak_at}"
    )
