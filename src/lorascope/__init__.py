"""lorascope: know what LoRA will touch before you train."""

from lorascope._version import __version__

__all__ = ["__version__"]
