"""What modules do when the model runs on weightless tensors. Imports torch."""

from lorascope.observe.observation import observe

__all__ = ["observe"]
