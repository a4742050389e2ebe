"""What the tests have as well: models made by hand, and a measure of the machine's speed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import builders
from clock import cpu_s, slowness

__all__ = ["builders", "cpu_s", "slowness"]
