"""How long a prediction takes and how much memory it needs, as whole processes.

Usage: python benchmarks/memory_timing.py [--write FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorascope.source.examples import find_example
from memory_page import measured_on
from memory_table import mib
from run import readable

BOUNDS = {"Llama-3.1-8B": 5.0, "DeepSeek-V3": 20.0}
"""Model → most seconds."""
MOST_BYTES = 4 * 2**30
RUNS = 3
_REFERENCE = Path(__file__).parent / "reference_build.py"
_STEP = ["--batch-size", "1", "--seq-len", "2048"]


@dataclass(frozen=True)
class Timing:
    """Medians over whole processes, run in turn with the reference."""

    model: str
    what: str
    """Whether lorascope has seen the model before."""
    seconds: float
    reference_seconds: float
    """Of importing the libraries and building the same model on the meta device."""
    peak_bytes: int
    """Largest resident size."""

    @property
    def is_met(self) -> bool:
        """Whether both bounds are kept."""
        return self.seconds <= BOUNDS[self.model] and self.peak_bytes <= MOST_BYTES


def main() -> int:
    """Time every model, print the page, and write it if asked; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    found = list(timings())
    text = page(found)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return 0 if all(timing.is_met for timing in found) else 1


def timings() -> Iterator[Timing]:
    """Yield two rows a model: with its inventory in the cache, and without."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides run from bytecode, as installed
    lorascope = str(Path(sys.executable).parent / "lorascope")
    for name in BOUNDS:
        with tempfile.TemporaryDirectory() as folder:
            config = json.dumps(find_example(name).config)
            (Path(folder) / "config.json").write_text(config, encoding="utf-8")
            ours = [lorascope, "plan", folder, *_STEP]
            reference = [sys.executable, str(_REFERENCE), folder]
            os.environ["LORASCOPE_CACHE"] = f"{folder}/cache"
            yield _timed(name, "seen before", ours, reference)
            yield _timed(name, "for the first time", [*ours, "--no-cache"], reference)


def _timed(name: str, what: str, ours: list[str], reference: list[str]) -> Timing:
    _run(ours), _run(reference)
    runs = [(*_run(ours), *_run(reference)) for _ in range(RUNS)]
    seconds, peaks, reference_seconds, _ = zip(*runs, strict=True)
    timing = Timing(
        name, what, statistics.median(seconds), statistics.median(reference_seconds), max(peaks)
    )
    print(
        f"{name}, {what}: {timing.seconds:.1f} s, {timing.peak_bytes / 2**20:.0f} MiB",
        file=sys.stderr,
    )
    return timing


def _run(command: list[str]) -> tuple[float, int]:
    """Return the wall time of a whole process in seconds, and its largest resident size."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{command}: {output.read().decode(errors='replace')}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def page(timed: Sequence[Timing]) -> str:
    """Return the page."""
    lines = [
        "# Time and memory of a prediction",
        "",
        "Made by `make bench-memory` (`benchmarks/memory_timing.py`); do not edit.",
        "",
        measured_on(),
        "",
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
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
