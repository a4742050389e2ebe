"""What goes into a training step: tokens, and labels so that the model makes its own loss."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto import modeling_auto

from lorascope.core.errors import MemoryPredictionError

if TYPE_CHECKING:
    from lorascope.core.training import TrainingSetup

_QUESTION = ("start_positions", "end_positions")


def batch_for(model: nn.Module, setup: TrainingSetup) -> dict[str, Any]:
    """Return the keyword arguments of one training step, on the CPU: token ids and labels.

    No attention mask is given, so no token is padding. An encoder-decoder makes its decoder's
    input from the labels.

    Args:
        model: The bare model, not PEFT's wrapper.
        setup: Batch size and sequence length.

    Raises:
        MemoryPredictionError: The class takes no tokens or makes no loss of its own.
    """
    names = inspect.signature(model.forward).parameters
    if "input_ids" not in names:
        raise MemoryPredictionError(
            f"{type(model).__name__} takes no input_ids but {', '.join(list(names)[:3])}.",
            "Memory is predicted for models that read text."
            if isinstance(model, PreTrainedModel)
            else "Give its forward the arguments input_ids (batch, length) and labels, and let it"
            " return an object with .loss.",
        )
    shape = (setup.batch_size, setup.seq_len)
    batch: dict[str, Any] = {"input_ids": torch.zeros(shape, dtype=torch.long)}
    if "labels" in names:
        batch["labels"] = _labels(model, shape)
    elif all(name in names for name in _QUESTION):
        for name in _QUESTION:
            batch[name] = torch.zeros(setup.batch_size, dtype=torch.long)
    else:
        raise MemoryPredictionError(
            f"{type(model).__name__} takes no labels, so it makes no loss to train with.",
            "Choose the class to train with --task-type, for example CAUSAL_LM or SEQ_CLS; of a"
            " model in memory, build it as that class."
            if isinstance(model, PreTrainedModel)
            else "Give its forward an argument labels and let it return an object with .loss.",
        )
    if "use_cache" in names:
        batch["use_cache"] = False
    return batch


def _labels(model: nn.Module, shape: tuple[int, int]) -> torch.Tensor:
    classifiers = modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values()
    if type(model).__name__ not in classifiers:
        return torch.zeros(shape, dtype=torch.long)
    is_regression = getattr(model.config, "num_labels", 2) == 1
    return torch.zeros(shape[0], dtype=torch.float32 if is_regression else torch.long)
