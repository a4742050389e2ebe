"""Run lorascope on built-in examples; write docs/captures.md, console blocks and the figure.

Every ```console block of the pages in `WRITTEN` that begins with `$ lorascope` is replaced by what
the command prints now. Usage: python docs/make_captures.py [--check]
(--check: compare, write nothing)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
WRITTEN = (
    HERE.parent / "README.md",
    HERE / "memory.md",
    HERE / "observation.md",
    HERE / "check.md",
)
"""Pages written by hand, but for their console blocks."""
FIGURE = HERE / "presets-by-memory.svg"
FIGURE_COMMAND = "lorascope plan Llama-3.1-8B --compare --plot presets-by-memory.svg"
PAGE = HERE / "captures.md"
WIDTH = 120
COMMANDS = (
    "lorascope inspect Phi-3-mini",
    "lorascope plan Phi-3-mini",
    "lorascope inspect Qwen3-30B-A3B",
    "lorascope plan Qwen3-30B-A3B --preset all-linear",
    "lorascope plan Qwen3-30B-A3B --compare",
    "lorascope inspect Gemma-3-4B",
    "lorascope plan Gemma-3-4B --preset extended",
    "lorascope check examples/check",
    "lorascope rule LT011",
)
_BLOCK = re.compile(r"```console\n\$ (lorascope [^\n]*)\n.*?```", re.DOTALL)


@cache
def captured(command: str) -> str:
    """Return what a command prints on a terminal of `WIDTH` columns, without colour or cache."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to((HERE.parent / "examples").resolve())
        return run(command, Path(folder))


def run(command: str, folder: Path) -> str:
    """Run a shell command in a folder and return what it prints."""
    program = Path(sys.executable).parent
    settings = {
        "COLUMNS": str(WIDTH),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "LORASCOPE_CACHE": "",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder),
    }
    done = subprocess.run(  # noqa: S603 - the commands above and those of the pages
        ["bash", "-o", "pipefail", "-c", command],  # noqa: S607 - the caller's own bash
        env={**os.environ, **settings, "PATH": f"{program}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=folder,
    )
    # 1: there are findings. 2: what was asked is refused, which is the answer.
    failed = re.search("Traceback|failed unexpectedly", done.stdout)
    if done.returncode not in (0, 1, 2) or failed:
        raise SystemExit(f"{command} failed: {done.stdout}")
    printed = re.sub(r"(torch [\d.]+)\+\w+", r"\1", done.stdout)  # whichever build is installed
    return "\n".join(line.rstrip() for line in printed.splitlines())


def figure() -> str:
    """Return the figure's file as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        run(FIGURE_COMMAND, Path(folder))
        return (Path(folder) / FIGURE.name).read_text(encoding="utf-8")


def block(command: str) -> str:
    """Return the console block of one command."""
    return f"```console\n$ {command}\n{captured(command)}\n```"


def pages() -> dict[Path, str]:
    """Return all pages, and the figure, as they should be."""
    made_by = f"Made by `make docs` at {WIDTH} columns; do not edit."
    parts = ["# What it prints", "", made_by, ""]
    for command in COMMANDS:
        parts += [f"## `{command}`", "", block(command), ""]
    written = {path: path.read_text(encoding="utf-8") for path in WRITTEN}
    return {
        PAGE: "\n".join(parts),
        FIGURE: figure(),
        **{
            path: _BLOCK.sub(lambda found: block(found.group(1)), text)
            for path, text in written.items()
        },
    }


def main() -> int:
    """Write the pages, or say which of them is not current."""
    stale = {
        path: text
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is not current; run `make docs`")
        return int(bool(stale))
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
