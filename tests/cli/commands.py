"""Run whole commands in this process or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from lorascope.cli.main import main


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Result:
    """Run a command in this process."""
    code = main(arguments)
    printed = capsys.readouterr()
    return Result(code, printed.out, printed.err)


def spawn(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    environment = {**os.environ, **options.pop("env", {})}
    environment.pop("LORASCOPE_DEBUG", None)
    defaults: dict[str, Any] = {"capture_output": True, "timeout": 60}
    return subprocess.run(
        [sys.executable, "-m", "lorascope.cli", *arguments],
        text=True,
        check=False,
        env=environment,
        **(defaults | options),
    )
