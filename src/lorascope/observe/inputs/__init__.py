"""Inputs that let a model's forward pass run: as few and as small as its class allows."""

from lorascope.observe.inputs.assemble import Inputs, NoInputsError, inputs_for

__all__ = ["Inputs", "NoInputsError", "inputs_for"]
