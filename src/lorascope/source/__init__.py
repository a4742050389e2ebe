"""From a model reference to its config, its checkpoint headers and cached inventories."""

from lorascope.source.model_source import ModelSource
from lorascope.source.resolver import resolve

__all__ = ["ModelSource", "resolve"]
