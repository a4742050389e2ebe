"""A process that checks inputs, one after another, and reports what each took."""

from __future__ import annotations

import gc
import logging
import resource
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from inventories import read_all
from mutate import make_input
from one_input import try_input
from stopwatch import Stopwatch, cpu_s

MOST_MIB = 500
"""Memory that checking may take beyond the inventories."""
_SPARE_MIB = 200
"""Beyond that an allocation fails, so that a bomb does not take the machine along."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one input."""

    number: int
    step: str
    """That took longest."""
    step_s: float
    """Its processor time."""
    most_s: float
    """What it may take."""
    cpu_s: float
    """Processor time of all steps."""
    wall_s: float
    grown_mib: float
    """Peak memory of the process so far, beyond that at its start."""
    child_mib: float
    """The same of the largest child."""
    failure: str | None = None
    """The traceback; None if nothing was wrong."""


def work(connection: Connection, seed: str, inventories: Path) -> None:
    """Check the inputs whose numbers come through the connection, until None comes."""
    warnings.simplefilter("error")
    logging.disable(logging.CRITICAL)
    models = read_all(inventories)
    gc.freeze()
    start = _peak_mib(resource.RUSAGE_SELF)
    _limit_memory()
    connection.send(None)
    with TemporaryDirectory() as directory:
        while (number := connection.recv()) is not None:
            made = make_input(seed, number)
            failure, watch = None, Stopwatch()
            cpu, wall = cpu_s(), time.perf_counter()
            try:
                try_input(made, Path(directory), models, watch)
            except Exception:
                failure = traceback.format_exc()
            step = max(watch.taken, key=watch.taken.__getitem__, default="start")
            outcome = Outcome(
                number=number,
                step=step,
                step_s=watch.taken.get(step, 0.0),
                most_s=watch.most_s,
                cpu_s=cpu_s() - cpu,
                wall_s=time.perf_counter() - wall,
                grown_mib=_peak_mib(resource.RUSAGE_SELF) - start,
                child_mib=_peak_mib(resource.RUSAGE_CHILDREN),
                failure=failure,
            )
            connection.send(outcome)


def _peak_mib(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc").is_dir() else 0
    if pages:
        now = pages * resource.getpagesize()
        limit = now + (MOST_MIB + _SPARE_MIB) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
