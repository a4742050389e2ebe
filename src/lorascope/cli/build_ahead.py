"""Build the base models that many files name in several processes, ahead of the checks.

Each process stores what it builds in the cache, where the checks find it. Whatever goes wrong
here costs time only: a base model that is not in the cache is built when its file is checked, and
that is where its error is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lorascope.api.bases import BaseModels, BaseName
from lorascope.core.errors import LorascopeError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

_MOST_PROCESSES = 4
"""Each takes half a gigabyte of memory for torch and transformers."""
_FEWEST = 3
"""Base models from which it pays to start processes, each of which imports torch first."""


def build_ahead(names: Iterable[BaseName], bases: BaseModels, say: Callable[[str], None]) -> None:
    """Fill the cache with the base models that it lacks, if they are several.

    Args:
        names: What the files name.
        bases: How models are read.
        say: Told how far it is.
    """
    processors = os.cpu_count() or 1
    if processors < 2:
        return
    lacking = bases.lacking(names)
    if len(lacking) < _FEWEST:
        return
    from concurrent.futures import BrokenExecutor

    # A process that was ended from outside, or a system without what several need to talk.
    with suppress(BrokenExecutor, ImportError, NotImplementedError, OSError):
        _build(lacking, bases.offline, min(_MOST_PROCESSES, processors, len(lacking)), say)


def prepare() -> None:
    """Make a new process ready to build, one of several on this machine."""
    import signal
    from threading import Thread

    from lorascope.cli.main import prepare_process

    # An interrupt reaches all processes at once; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before torch is imported
    prepare_process()


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def build(base: BaseName, offline: bool) -> None:
    """Build one base model into the cache; an error is told where its file is checked."""
    with suppress(LorascopeError):
        BaseModels(offline=offline).named(base)


def _build(
    lacking: Sequence[BaseName], offline: bool, processes: int, say: Callable[[str], None]
) -> None:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with _ended(ProcessPoolExecutor(processes, get_context("spawn"), prepare)) as pool:
        futures = [pool.submit(build, base, offline) for base in lacking]
        say(f"building {len(lacking)} base models in {processes} processes")
        for done, _ in enumerate(as_completed(futures), start=1):
            say(f"building base models in {processes} processes: {done} of {len(lacking)}")


@contextmanager
def _ended(pool: ProcessPoolExecutor) -> Iterator[ProcessPoolExecutor]:
    """Leave no process of `pool` behind, least of all when interrupted."""
    from multiprocessing import active_children

    others = set(active_children())
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
