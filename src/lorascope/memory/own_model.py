"""A user's own model, copied so that its training steps can be predicted."""

from __future__ import annotations

from typing import Any

from torch import nn

from lorascope.build.confined import quiet
from lorascope.build.walk import base_model_of, unwrapped
from lorascope.memory.failures import step_of
from lorascope.observe.twin import meta_twin


def own_model(model: nn.Module) -> nn.Module:
    """Return a copy of the base model on the meta device; `model` stays as it is.

    Raises:
        MemoryPredictionError: It cannot be copied, or its adapter cannot be taken out.
    """
    with (
        quiet(),
        step_of("copying the model", "Give the plain model, without what is wrapped around it."),
    ):
        twin: Any = meta_twin(unwrapped(model))
        # An adapter that the module already has is taken out of the copy: the plan has its own.
        return base_model_of(twin.unload() if hasattr(twin, "peft_config") else twin)
