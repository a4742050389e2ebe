"""Time `lorascope check` beside PEFT's way (inject and look); write docs/benchmarks-check.md.

One adapter against a cached inventory, and 200 files of mixed formats for 20 models, with an empty
cache and with a full one. PEFT reads adapters only, so its 200 are the same recipes as adapters.
Usage: python benchmarks/check.py [--write FILE] [--runs 5]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lorascope.source.examples import find_example
from run import cpu_name, readable

HERE = Path(__file__).parent
MODELS = (
    "Bloom-560M",
    "DeepSeek-V3",
    "Falcon-7B",
    "Gemma-2-9B",
    "Gemma-3-4B",
    "GPT-2",
    "gpt-oss-20b",
    "Jamba",
    "Llama-3.1-70B",
    "Llama-3.1-8B",
    "Mistral-7B",
    "Mixtral-8x7B",
    "OPT-1.3B",
    "Phi-2",
    "Phi-3-mini",
    "Pythia-6.9B",
    "Qwen2.5-0.5B",
    "Qwen2.5-VL-7B",
    "Qwen3-30B-A3B",
    "SmolLM2-135M",
)
LISTS = (
    ["q_proj", "v_proj"],
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
)
LONGEST_ONE = 0.5
"""Seconds that one adapter may take against a cached inventory."""
LONGEST_MANY = 20.0
"""Seconds that 200 files for 20 models may take on 2 cores."""


def axolotl(model: str, names: list[str]) -> tuple[str, str]:
    """Return a file ending and the text of an Axolotl file."""
    listed = "\n".join(f"  - {name}" for name in names)
    return ".axolotl.yaml", (
        f"base_model: {model}\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
        f"lora_target_modules:\n{listed}\n"
    )


def llamafactory(model: str, names: list[str]) -> tuple[str, str]:
    """The same for LLaMA-Factory."""
    return ".llamafactory.yaml", (
        f"model_name_or_path: {model}\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\n"
        f"lora_alpha: 16\nlora_target: {','.join(names)}\n"
    )


def trl(model: str, names: list[str]) -> tuple[str, str]:
    """The same as a shell script for TRL."""
    return ".trl.sh", (
        f"trl sft --model_name_or_path {model} --use_peft --lora_r 8 --lora_alpha 16"
        f" --lora_target_modules {' '.join(names)}\n"
    )


def swift(model: str, names: list[str]) -> tuple[str, str]:
    """The same as a shell script for ms-swift."""
    return ".swift.sh", (
        f"swift sft --model {model} --tuner_type lora --lora_rank 8 --lora_alpha 16"
        f" --target_modules {' '.join(names)}\n"
    )


TRAINERS: tuple[Callable[[str, list[str]], tuple[str, str]], ...] = (
    axolotl,
    llamafactory,
    trl,
    swift,
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: float
    reference: float
    longest: float | None
    """Bound on our seconds; None for none."""


def main() -> int:
    """Measure, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="Markdown file to write")
    parser.add_argument("--runs", type=int, default=5, help="runs of the single adapter")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # both sides run from bytecode, as installed
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), arguments.runs)
    table = markdown(rows)
    print(table)
    if arguments.write:
        arguments.write.write_text(table, encoding="utf-8")
    return int(any(row.longest is not None and row.ours > row.longest for row in rows))


def measured(folder: Path, runs: int) -> list[Row]:
    """Write the files and run both sides."""
    mixed, adapters = write_files(folder)
    lorascope = str(Path(sys.executable).parent / "lorascope")
    inject = [sys.executable, str(HERE / "reference_check.py")]
    os.environ["LORASCOPE_CACHE"] = str(folder / "cache")
    many = [lorascope, "check", str(mixed), "--json", "--isolated"]
    cold, warm = seconds(many), statistics.median(seconds(many) for _ in range(3))
    peft = seconds([*inject, str(adapters)])
    one = adapters / "Llama-3.1-8B-0"
    check_one, inject_one = [lorascope, "check", str(one), "--isolated"], [*inject, str(one)]
    seconds(check_one), seconds(inject_one)
    both = [(seconds(check_one), seconds(inject_one)) for _ in range(runs)]
    ours, reference = (statistics.median(side) for side in zip(*both, strict=True))
    return [
        Row("one adapter, inventory in the cache", ours, reference, LONGEST_ONE),
        Row("200 mixed files for 20 models, empty cache", cold, peft, LONGEST_MANY),
        Row("200 mixed files for 20 models, full cache", warm, peft, None),
    ]


def write_files(folder: Path) -> tuple[Path, Path]:
    """Write 20 configs, 200 mixed files and 200 adapters of the same recipes."""
    mixed, adapters = folder / "mixed", folder / "adapters"
    for name in MODELS:
        model = folder / "models" / name
        model.mkdir(parents=True)
        (model / "config.json").write_text(json.dumps(find_example(name).config), "utf-8")
        for number in range(10):
            names = LISTS[number % len(LISTS)]
            adapter = json.dumps(
                {
                    "peft_type": "LORA",
                    "base_model_name_or_path": str(model),
                    "r": 8,
                    "lora_alpha": 16,
                    "target_modules": names,
                }
            )
            places = [adapters / f"{name}-{number}"]
            if number < 2:
                places.append(mixed / f"{name}-{number}")
            else:
                ending, text = TRAINERS[(number - 2) // 2](str(model), names)
                mixed.mkdir(exist_ok=True)
                (mixed / f"{name}-{number}{ending}").write_text(text, "utf-8")
            for place in places:
                place.mkdir(parents=True)
                (place / "adapter_config.json").write_text(adapter, "utf-8")
    return mixed, adapters


def seconds(command: list[str]) -> float:
    """Return the wall time of a whole process; findings (exit code 1) are an answer."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command}: {done.stderr[-2000:]}{done.stdout[-2000:]}")
    print(f"{took:.3f} s: {' '.join(command[:3])}", file=sys.stderr)
    return took


def markdown(rows: list[Row]) -> str:
    """Return the table, with what it was measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    lines = [
        f"| {row.what} | {row.ours:.2f} s | {row.reference:.2f} s "
        f"| {readable(row.ours / row.reference)} "
        f"| {'' if row.longest is None else f'{row.longest:g} s'} |"
        for row in rows
    ]
    return "\n".join(
        [
            "# Time of a check",
            "",
            "Made by `make bench-check`; do not edit. Whole processes. PEFT's way is",
            "`benchmarks/reference_check.py`: build each model on the meta device, inject, look.",
            "It reads adapters only, so its 200 are the same recipes as adapters.",
            "",
            f"Measured on {os.cpu_count()} cores ({cpu_name()}), Python "
            f"{platform.python_version()}, {packages}.",
            "",
            "| what | lorascope check | PEFT's way | ratio | bound |",
            "| --- | --- | --- | --- | --- |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
