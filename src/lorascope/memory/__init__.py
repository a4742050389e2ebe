"""Predict the memory of a training step by running it on weightless tensors. Imports torch."""
