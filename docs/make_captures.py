"""Run lorascope on built-in examples and write docs/captures.md with what it prints.

Usage: python docs/make_captures.py [--check]   (--check: compare, write nothing)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = 100
COMMANDS = (
    "lorascope inspect Phi-3-mini",
    "lorascope plan Phi-3-mini",
    "lorascope inspect Qwen3-30B-A3B",
    "lorascope plan Qwen3-30B-A3B --preset all-linear",
    "lorascope plan Qwen3-30B-A3B --compare",
    "lorascope inspect Gemma-3-4B",
    "lorascope plan Gemma-3-4B --preset extended",
)


def captured(command: str) -> str:
    """Return what a command prints on a terminal of `WIDTH` columns, without colour."""
    program, *arguments = command.split()
    done = subprocess.run(  # noqa: S603 - the commands above
        [str(Path(sys.executable).parent / program), *arguments],
        env={**os.environ, "COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def page() -> str:
    """Return the whole page."""
    parts = [
        "# What it prints",
        "",
        f"Made by `make captures` at {WIDTH} columns; do not edit.",
        "",
    ]
    for command in COMMANDS:
        parts += [f"## `{command}`", "", "```console", f"$ {command}", captured(command), "```", ""]
    return "\n".join(parts)


def main() -> int:
    """Write the page, or compare it with what is there."""
    target = HERE / "captures.md"
    made = page()
    if "--check" in sys.argv[1:]:
        return int(not target.exists() or target.read_text(encoding="utf-8") != made)
    target.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
