"""Time whole lorascope processes against named references, and write docs/benchmarks.md.

Each pair runs in turn (A B A B …), so that a machine that drifts slows both alike. What is quoted
is the median of the ratios of neighbouring runs. Usage: python benchmarks/run.py [--write FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lorascope.source.examples import find_example

HERE = Path(__file__).parent
MODELS = ("Llama-3.1-8B", "Qwen3-30B-A3B", "DeepSeek-V3", "GPT-2")
PLAN_TARGETS = {
    "Llama-3.1-8B": ("q_proj", "v_proj"),
    "Qwen3-30B-A3B": ("q_proj", "v_proj"),
    "DeepSeek-V3": ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"),
    "GPT-2": ("c_attn",),
}
"""What the preset `qv` means on each model, handed to PEFT by name."""


@dataclass(frozen=True)
class Pair:
    """One comparison: a lorascope command, a reference, and the bound on their ratio."""

    what: str
    ours: list[str]
    reference: list[str]
    bound: float
    """Upper bound of our time / reference time."""
    runs: int


@dataclass(frozen=True)
class Timing:
    """Seconds of one pair: medians of both sides and of the ratio of neighbouring runs."""

    pair: Pair
    ours: float
    reference: float
    ratio: float


def main() -> int:
    """Run every pair, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    parser.add_argument("--runs", type=int, default=5, help="runs of each heavy pair")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides run from bytecode, as installed
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LORASCOPE_CACHE"] = f"{folder}/cache"
        timings = [timed(pair) for pair in pairs(Path(folder), arguments.runs)]
    table = markdown(timings)
    print(table)
    if arguments.write:
        arguments.write.write_text(table, encoding="utf-8")
    return int(any(timing.ratio > timing.pair.bound for timing in timings))


def pairs(folder: Path, runs: int) -> list[Pair]:
    """List the comparisons; writes each model's config.json below `folder`."""
    python = sys.executable
    lorascope = str(Path(python).parent / "lorascope")
    found = [
        Pair(
            "`lorascope --help` against `python -c pass`",
            [lorascope, "--help"],
            [python, "-c", "pass"],
            5,
            15,
        )
    ]
    for name in MODELS:
        model = folder / name
        model.mkdir()
        config = json.dumps(find_example(name).config)
        (model / "config.json").write_text(config, encoding="utf-8")
        script = [python, str(HERE / "reference_inspect.py"), str(model)]
        count = [python, str(HERE / "reference_count.py"), str(model), *PLAN_TARGETS[name]]
        inspect = [lorascope, "inspect", str(model)]
        found += [
            Pair(f"{name}: `inspect --no-cache` against the script",
                 [*inspect, "--no-cache"], script, 1.25, runs),
            Pair(f"{name}: cached `inspect` against the script", inspect, script, 1 / 10, runs),
            Pair(f"{name}: `plan` against PEFT's injection",
                 [lorascope, "plan", str(model)], count, 1 / 20, runs),
        ]  # fmt: skip
    return found


def timed(pair: Pair) -> Timing:
    """Run both sides in turn, once unmeasured and then `pair.runs` times."""
    seconds(pair.ours), seconds(pair.reference)
    both = [(seconds(pair.ours), seconds(pair.reference)) for _ in range(pair.runs)]
    ours, reference = zip(*both, strict=True)
    ratio = statistics.median(a / b for a, b in both)
    timing = Timing(pair, statistics.median(ours), statistics.median(reference), ratio)
    print(f"{pair.what}: {timing.ours:.3f} s / {timing.reference:.3f} s", file=sys.stderr)
    return timing


def seconds(command: list[str]) -> float:
    """Return the wall time of a whole process, whose output is read and thrown away."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def markdown(timings: list[Timing]) -> str:
    """Return the table, with what it was measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    rows = [
        f"| {timing.pair.what} | {timing.ours:.3f} s | {timing.reference:.3f} s "
        f"| {readable(timing.ratio)} | {readable(timing.pair.bound)} "
        f"| {'yes' if timing.ratio <= timing.pair.bound else 'no'} |"
        for timing in timings
    ]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Made by `make bench`; do not edit. Whole processes, in turn; medians. The script is",
            "`benchmarks/reference_inspect.py`, PEFT's injection `benchmarks/reference_count.py`.",
            "",
            f"Measured on {os.cpu_count()} cores ({cpu_name()}), Python "
            f"{platform.python_version()}, {packages}.",
            "",
            "| what | lorascope | reference | ratio | bound | met |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def readable(ratio: float) -> str:
    """Return a ratio as `1/23` where it is below one half, else as `1.13`."""
    return f"1/{1 / ratio:.0f}" if ratio < 1 / 2 else f"{ratio:.2f}"


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        names = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    raise SystemExit(main())
