"""What modules do when the model runs on weightless tensors. Imports torch."""

from lorascope.observe.attention import Observation, observe_attention

__all__ = ["Observation", "observe_attention"]
