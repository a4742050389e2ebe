"""Run lorascope on built-in examples; write docs/captures.md and the README's console blocks.

Every ```console block of the README that begins with `$ lorascope` is replaced by what the command
prints now. Usage: python docs/make_captures.py [--check]   (--check: compare, write nothing)
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
README = HERE.parent / "README.md"
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
)
_BLOCK = re.compile(r"```console\n\$ (lorascope [^\n]*)\n.*?```", re.DOTALL)


@cache
def captured(command: str) -> str:
    """Return what a command prints on a terminal of `WIDTH` columns, without colour or cache."""
    program, *arguments = command.split()
    settings = {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb", "LORASCOPE_CACHE": ""}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - the commands above and those of the README
            [str(Path(sys.executable).parent / program), *arguments],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=folder,
        )
    if done.returncode not in (0, 2):  # 2: PEFT would refuse, which is the answer
        raise SystemExit(f"{command} failed: {done.stdout}")
    printed = re.sub(r"(torch [\d.]+)\+\w+", r"\1", done.stdout)  # whichever build is installed
    return "\n".join(line.rstrip() for line in printed.splitlines())


def block(command: str) -> str:
    """Return the console block of one command."""
    return f"```console\n$ {command}\n{captured(command)}\n```"


def pages() -> dict[Path, str]:
    """Return both pages as they should be."""
    made_by = f"Made by `make docs` at {WIDTH} columns; do not edit."
    parts = ["# What it prints", "", made_by, ""]
    for command in COMMANDS:
        parts += [f"## `{command}`", "", block(command), ""]
    readme = README.read_text(encoding="utf-8")
    return {
        PAGE: "\n".join(parts),
        README: _BLOCK.sub(lambda found: block(found.group(1)), readme),
    }


def main() -> int:
    """Write the pages, or say which of them is not current."""
    stale = [
        path
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is not current; run `make docs`")
        return int(bool(stale))
    for path in stale:
        path.write_text(pages()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
