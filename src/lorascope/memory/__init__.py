"""Predict the memory of a training step. The one package that runs training; imports torch."""

from lorascope.memory.predictor import Predictor

__all__ = ["Predictor"]
