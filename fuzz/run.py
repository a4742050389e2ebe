"""Check thousands of generated and broken configurations; nothing may go wrong.

Usage: python fuzz/run.py [--count 10000] [--seed 1] [--only 123] [--processes 2]

Every input is made from the seed and its number, so that --only makes the same one again. It fails
if anything but a `LorascopeError` is raised, if something that is printed could act upon a
terminal, if a step (to check, to print one form, to fix) takes over 2 s of processor time (8 s for
each configuration on the model of 60,000 modules), if it hangs, or if the process grows by more
than 500 MiB. Seconds are those of an ordinary machine: a slower one has as many times more as it
takes for a fixed loop. Failing inputs are written to fuzz/failures. Exit status 1 if any fails.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from from_tests import slowness
from inventories import write_all
from mutate import Input, make_input
from worker import ENDLESS_S, MOST_MIB, Outcome, work

_HANGS_S = 1_800.0
"""Seconds after which a process is ended that waits for something; one that is busy ends sooner."""
_FAILURES = Path(__file__).with_name("failures")


@dataclass(slots=True)
class Worker:
    """A process, and what it is at."""

    process: BaseProcess
    connection: Connection
    number: int | None = None
    since: float = field(default_factory=time.monotonic)


def main() -> int:
    """Run the inputs that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="inputs")
    parser.add_argument("--seed", default="1", help="any word")
    parser.add_argument("--only", type=int, help="the number of one input to try")
    parser.add_argument("--processes", type=int, default=2, help="at a time")
    arguments = parser.parse_args()
    numbers = range(arguments.count) if arguments.only is None else [arguments.only]
    with TemporaryDirectory() as directory:
        started = time.perf_counter()
        write_all(Path(directory))
        print(f"Models made in {time.perf_counter() - started:.0f} s.", flush=True)
        run = Run(arguments.seed, Path(directory))
        started = time.perf_counter()
        for outcome in run.outcomes(iter(numbers), arguments.processes):
            run.note(outcome)
        run.print_figures(time.perf_counter() - started)
    return 1 if run.failures else 0


class Run:
    """One run: its workers, and what came of the inputs so far."""

    def __init__(self, seed: str, inventories: Path) -> None:
        self.seed = seed
        self.inventories = inventories
        self.slow = median(slowness() for _ in range(3))
        self.done: list[Outcome] = []
        self.failures = 0

    def outcomes(self, numbers: Iterator[int], processes: int) -> Iterator[Outcome]:
        """Yield what comes of each input, as it comes."""
        workers = [self._started() for _ in range(processes)]
        while workers:
            for connection in wait([each.connection for each in workers], timeout=1):
                worker = next(each for each in workers if each.connection is connection)
                outcome = self._received(worker)
                if outcome is not None:
                    yield outcome
                if outcome is not None and outcome.is_last:
                    workers[workers.index(worker)] = worker = self._started()
                    continue
                worker.number, worker.since = next(numbers, None), time.monotonic()
                worker.connection.send(worker.number)
                if worker.number is None:
                    worker.process.join()
                    workers.remove(worker)
            for index, worker in enumerate(workers):
                if worker.number is not None and time.monotonic() - worker.since > _HANGS_S:
                    yield self._ended(worker, f"It took longer than {_HANGS_S:.0f} s.")
                    workers[index] = self._started()

    def _started(self) -> Worker:
        context: Any = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        arguments = (there, self.seed, self.inventories, self.slow)
        process = context.Process(target=work, args=arguments, daemon=True)
        process.start()
        there.close()
        return Worker(process, here)

    def _received(self, worker: Worker) -> Outcome | None:
        try:
            return worker.connection.recv()  # type: ignore[no-any-return]
        except EOFError:
            worker.process.join()
            if worker.number is None:
                raise SystemExit("a process ended before its first input") from None
            why = f"The process ended with exit status {worker.process.exitcode}."
            if worker.process.exitcode == -signal.SIGPROF:
                why = f"It took longer than {ENDLESS_S * self.slow:.0f} s of processor time."
            return self._ended(worker, why)

    @staticmethod
    def _ended(worker: Worker, why: str) -> Outcome:
        seconds = time.monotonic() - worker.since
        worker.process.kill()
        worker.process.join()
        return Outcome(
            number=worker.number or 0,
            model="unknown",
            step="unknown",
            step_s=0.0,
            most_s=0.0,
            cpu_s=0.0,
            wall_s=seconds,
            grown_mib=0.0,
            failure=why,
            is_last=True,
        )

    def note(self, outcome: Outcome) -> None:
        """Keep an outcome, and report it if it is a failure."""
        self.done.append(outcome)
        why = outcome.failure
        if why is None and outcome.step_s > outcome.most_s:
            why = (
                f"The step {outcome.step!r} took {outcome.step_s:.1f} s of processor time; at most "
                f"{outcome.most_s:.1f} s here, on {outcome.model}."
            )
        if why is None and outcome.grown_mib > MOST_MIB:
            why = f"The process grew by {outcome.grown_mib:.0f} MiB."
        if why is not None:
            self.failures += 1
            made = make_input(self.seed, outcome.number)
            print(f"\nInput {outcome.number} ({made.name}, {made.how}): {why}")
            print(f"Again: python fuzz/run.py --seed {self.seed} --only {outcome.number}")
            print(f"Saved: {_saved(made)}", flush=True)
        elif len(self.done) % 1_000 == 0:
            print(f"{len(self.done):,} inputs, {self.failures} failures", flush=True)

    def print_figures(self, seconds: float) -> None:
        """Say what was done and what it took."""
        longest = max(each.wall_s for each in self.done)
        grown = max(each.grown_mib for each in self.done)
        total = sum(each.cpu_s for each in self.done)
        print(
            f"{len(self.done):,} inputs in {seconds:.0f} s ({len(self.done) / seconds:.0f}/s, "
            f"{total:.0f} s of processor time), {self.failures} failures."
        )
        read = [each.codes for each in self.done if each.codes is not None]
        rules = frozenset[str]().union(*read)
        mended = sum(each.is_mended for each in self.done)
        print(
            f"{len(read):,} were read as configurations, {len(rules)} rules found something, "
            f"{mended:,} texts were mended."
        )
        print(f"The machine took {self.slow:.1f} times as long as an ordinary one at the start.")
        for model in sorted({each.model for each in self.done}):
            alike = [each for each in self.done if each.model == model]
            slowest = max(alike, key=lambda each: each.step_s)
            print(
                f"{model}: {len(alike):,} inputs; slowest step {slowest.step_s:.2f} s of processor "
                f"time ({slowest.step!r} of {slowest.number})."
            )
        print(f"Longest elapsed, all steps together: {longest:.2f} s.")
        print(f"Memory: a process grew by {grown:.0f} MiB at most.")


def _saved(made: Input) -> Path:
    directory = _FAILURES / str(made.number)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / made.name).write_bytes(made.content)
    if made.tensors is not None:
        (directory / "adapter_model.safetensors").write_bytes(made.tensors)
    return directory


if __name__ == "__main__":
    sys.exit(main())
