"""The first line of what is written: what made it, from what, and for which release."""

from __future__ import annotations

from lorascope._version import __version__
from lorascope.core.errors import printable
from lorascope.core.export import Trainer
from lorascope.matching.configured import Configured


def heading(wanted: Configured, to: Trainer, version: str) -> str:
    """Return a comment line for YAML, shell or Python, without a line break."""
    origin = printable(wanted.origin)
    return f"# LoRA for {to.own_name} {version}, made by lorascope {__version__} from {origin}"
