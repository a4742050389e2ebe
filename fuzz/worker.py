"""A process that checks inputs, one after another, and reports what each took."""

from __future__ import annotations

import gc
import logging
import resource
import signal
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from from_tests import cpu_s, slowness
from inventories import read_all
from mutate import make_input
from one_input import try_input
from stopwatch import Stopwatch

ENDLESS_S = 200.0
"""Seconds of processor time after which the process is ended, on an ordinary machine: far more than
any step may take."""
MOST_MIB = 500
"""Memory that checking may take beyond the inventories."""
_SPARE_MIB = 200
"""Beyond that an allocation fails, so that a bomb does not take the machine along."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one input."""

    number: int
    model: str
    """What it was checked against."""
    step: str
    """That took longest."""
    step_s: float
    """Its processor time."""
    most_s: float
    """What it may take here, as slow as the machine is."""
    cpu_s: float
    """Processor time of all steps."""
    wall_s: float
    grown_mib: float
    """Peak memory of the process so far, beyond that at its start. A child that matches a pattern
    limits its own to 400 MiB."""
    codes: frozenset[str] | None = None
    """Rules that found something; None if the input could not be read."""
    is_mended: bool = False
    """Whether its text was changed by --fix."""
    failure: str | None = None
    """The traceback; None if nothing was wrong."""
    is_last: bool = False
    """Whether the process ends now, because its memory was used up."""


def work(connection: Connection, seed: str, inventories: Path, slow: float) -> None:
    """Check the inputs whose numbers come through the connection, until None comes.

    Args:
        connection: To the process that started this one.
        seed: As in `make_input`.
        inventories: Directory of the models.
        slow: How many times as long as on an ordinary machine things take, as measured once.
    """
    warnings.simplefilter("error")
    logging.disable(logging.CRITICAL)
    models = read_all(inventories)
    gc.freeze()
    _forget_peak()
    start = _peak_mib()
    _limit_memory()
    connection.send(None)
    with TemporaryDirectory() as directory:
        while (number := connection.recv()) is not None:
            made = make_input(seed, number)
            failure, is_last, watch = None, False, Stopwatch()
            cpu, wall = cpu_s(), time.perf_counter()
            signal.setitimer(signal.ITIMER_PROF, ENDLESS_S * slow)
            try:
                try_input(made, Path(directory), models, watch)
            except Exception as error:
                failure, is_last = traceback.format_exc(), isinstance(error, MemoryError)
            step = max(watch.taken, key=watch.taken.__getitem__, default="start")
            step_s = watch.taken.get(step, 0.0)
            times = slow
            if step_s > slow * watch.most_s:  # others have work on the machine too, more at times
                times = max(slow, *(slowness() for _ in range(3)))
            outcome = Outcome(
                number=number,
                model=watch.model,
                step=step,
                step_s=step_s,
                most_s=times * watch.most_s,
                cpu_s=cpu_s() - cpu,
                wall_s=time.perf_counter() - wall,
                grown_mib=_peak_mib() - start,
                codes=watch.codes,
                is_mended=watch.is_mended,
                failure=failure,
                is_last=is_last,
            )
            connection.send(outcome)
            if is_last:
                return


def _forget_peak() -> None:
    """Begin anew to note the most memory that this process has; Linux alone can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc").is_dir() else 0
    if pages:
        now = pages * resource.getpagesize()
        limit = now + (MOST_MIB + _SPARE_MIB) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
