"""Predict the memory of a training step. The one package that runs training; imports torch."""

from lorascope.memory.quiet_import import without_kernel_warning

with without_kernel_warning():
    from lorascope.memory.predictor import Predictor

__all__ = ["Predictor"]
