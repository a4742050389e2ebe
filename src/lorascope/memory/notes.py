"""What a prediction assumes and leaves out, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from lorascope.memory.optimizers import paged_bytes
from lorascope.memory.overhead import overhead_notes
from lorascope.memory.quantized import quantization_notes

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup
    from lorascope.memory.fake_step import FakeStep

_STEP = (
    "One step in which the optimizer's state exists already; no token is padding, {autocast}, "
    "{accumulation}."
)
_AUTOCAST = "the forward pass runs under autocast and its outputs are made float32"
_ACCUMULATION = (
    "it is the last of {count:,} batches whose gradients accumulate, so that gradients live "
    "through all of it"
)
_TEXT_ONLY = "The batch holds text only: what images or sounds would add is left out."
_SIZED_BY_VALUES = (
    "Some results are as large as values say ({operators}); they count as large as they can be."
)

_LOSS = (
    "The loss is the one that the model's class makes; a fused or chunked loss (Liger, TRL's "
    "chunked loss) keeps less of the logits."
)
_PAGED = (
    "{paged:,} bytes of optimizer state are in managed memory, which pages to the host on need; "
    "they are in no figure here."
)


def notes_on(model: nn.Module, step: FakeStep, setup: TrainingSetup) -> tuple[str, ...]:
    """Return the notes of a prediction, each one sentence.

    Args:
        model: The bare model.
        step: What was run.
        setup: How.
    """
    notes = [
        _STEP.format(
            autocast=_AUTOCAST if setup.autocast else "no autocast",
            accumulation=_ACCUMULATION.format(count=setup.accumulation)
            if setup.accumulation > 1
            else "no gradient accumulation",
        )
    ]
    notes.append(_LOSS)
    if _sees_or_hears(model):
        notes.append(_TEXT_ONLY)
    if step.sized_by_values:
        operators = ", ".join(sorted(step.sized_by_values))
        notes.append(_SIZED_BY_VALUES.format(operators=operators))
    if setup.quantization != "none":
        notes += quantization_notes(setup)
    paged = paged_bytes(setup, (math.prod(each.shape) for each in step.trained))
    if paged:
        notes.append(_PAGED.format(paged=paged))
    return (*notes, *overhead_notes(setup))


def _sees_or_hears(model: nn.Module) -> bool:
    config = getattr(model, "config", None)
    return any(getattr(config, f"{kind}_config", None) is not None for kind in ("vision", "audio"))
