"""What an inventory knows of a built model as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import transformers

from lorascope.build.positions import positions_within
from lorascope.build.walk import base_layer_of, named_base_modules
from lorascope.core.inventory import ModelInfo
from lorascope.core.tasks import CLASSIFIER_HEADS, task_of_class
from lorascope.matching.expert_rewrite import NEW_NAMES
from lorascope.source.config_fields import StatedSizes, stated_sizes

if TYPE_CHECKING:
    from torch import nn

_POSITIONS = ("max_position_embeddings", "n_positions", "max_target_positions")
"""Fields of a config that say it; the first two are often one attribute under two names."""


def model_info(model: nn.Module, reference: str, total_params: int) -> ModelInfo:
    """Describe a built model; sizes are those of its text model where it has one.

    Args:
        model: The bare base model, weights on any device.
        reference: What to call it.
        total_params: Parameters of the whole model, each tensor once.
    """
    config = getattr(model, "config", None)
    sizes = built_sizes(config)
    input_embedding = _embedding(model, "get_input_embeddings")
    output_embedding = _embedding(model, "get_output_embeddings")
    paths = {id(module): path for path, module in reversed(list(named_base_modules(model)))}
    head = next(
        (name for name in CLASSIFIER_HEADS if getattr(model, name, None) is not None),
        None,
    )
    return ModelInfo(
        reference=reference,
        model_type=getattr(config, "model_type", None),
        cls=type(model).__name__,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.num_hidden_layers,
        num_attention_heads=sizes.num_attention_heads,
        num_key_value_heads=sizes.num_key_value_heads,
        vocab_size=sizes.vocab_size,
        num_experts=sizes.num_experts,
        experts_per_token=sizes.experts_per_token,
        positions=positions_within(model, positions_of(config), input_embedding),
        stated_positions=positions_of(config),
        total_params=total_params,
        dtype=sizes.dtype,
        base_model=getattr(model, "name_or_path", None) or None,
        task_type=task_type_of(model),
        is_pretrained_model=isinstance(model, transformers.PreTrainedModel),
        is_transformers_class=type(model).__module__.startswith("transformers."),
        tie_word_embeddings=getattr(config, "tie_word_embeddings", None),
        input_embedding=paths.get(id(input_embedding)),
        output_embedding=paths.get(id(output_embedding)),
        classifier_head=head,
        tied_to_embedding=_tied_to_embedding(model, input_embedding),
        expert_rewrite=expert_rewrite(getattr(config, "model_type", None)),
    )


def built_sizes(config: Any) -> StatedSizes:
    """Return the sizes of the built text model: those of `config.get_text_config()`."""
    if config is None or not hasattr(config, "to_dict"):
        return StatedSizes()
    text = _text_config(config)
    stated = stated_sizes(text.to_dict())
    mapped = {
        name: getattr(text, name)
        for name in StatedSizes.__dataclass_fields__
        if name != "dtype" and getattr(stated, name) is None
        if isinstance(getattr(text, name, None), int)
    }
    dtype = stated.dtype or stated_sizes(config.to_dict()).dtype
    known = {name: getattr(stated, name) for name in stated.stated if name != "dtype"}
    return StatedSizes(**known, **mapped, dtype=dtype)


def positions_of(config: Any) -> int | None:
    """Return the positions that a model's config states, None if it states none."""
    text = _text_config(config)
    stated = (getattr(text, name, None) for name in _POSITIONS)
    return next((n for n in stated if isinstance(n, int) and n > 0), None)


def _text_config(config: Any) -> Any:
    try:
        return config.get_text_config() if hasattr(config, "get_text_config") else config
    except ValueError:  # several text models, none of them the main one (MusicGen)
        return config


def task_type_of(model: nn.Module) -> str | None:
    """Return the PEFT task type that the class of `model` serves, None if none does.

    A multimodal generator counts as CAUSAL_LM, as PEFT's own examples have it. Speech models get
    None: PEFT's sequence-to-sequence wrapper passes `input_ids`, which they do not take.
    """
    name = type(model).__name__
    task = task_of_class(name)
    if task is not None:
        return task
    reads_text = getattr(model, "main_input_name", None) == "input_ids"
    if not reads_text or not isinstance(model, transformers.PreTrainedModel):
        return None
    if name.endswith("ForConditionalGeneration"):
        encodes = bool(getattr(model.config, "is_encoder_decoder", False))
        return "SEQ_2_SEQ_LM" if encodes else "CAUSAL_LM"
    return "FEATURE_EXTRACTION" if name.endswith("Model") else None


def expert_rewrite(model_type: str | None) -> str | None:
    """Return which rewrite of old expert names PEFT applies to this model type, None for none.

    Source: peft 0.21.2, `_convert_peft_config_moe` in `utils/transformers_weight_conversion.py`;
    the table from model type to pattern is transformers' own.
    """
    if model_type is None:
        return None
    try:
        from transformers.conversion_mapping import (
            _MODEL_TO_CONVERSION_PATTERN,
            get_checkpoint_conversion_mapping,
        )
    except ImportError:
        return None
    if get_checkpoint_conversion_mapping(model_type) is None:
        return None
    pattern = {**_MODEL_TO_CONVERSION_PATTERN, "mixtral": "mixtral"}.get(model_type)
    return pattern if pattern in NEW_NAMES else None


def expert_counts(model: nn.Module) -> frozenset[int]:
    """Return every number of experts, greater than one, that the config or a sub-config states."""
    config = getattr(model, "config", None)
    if config is None or not hasattr(config, "to_dict"):
        return frozenset()
    return frozenset(count for count in _stated_expert_counts(config.to_dict()) if count > 1)


def _stated_expert_counts(level: dict[str, Any]) -> Iterator[int]:
    for key, value in level.items():
        if isinstance(value, dict):
            yield from _stated_expert_counts(value)
            continue
        if "expert" not in str(key) or "per_tok" in str(key):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, int) and not isinstance(each, bool):
                yield each


def _embedding(model: nn.Module, getter: str) -> nn.Module | None:
    if not isinstance(model, transformers.PreTrainedModel):
        return None
    try:
        found: nn.Module | None = getattr(model, getter)()
    except (NotImplementedError, AttributeError):
        return None
    return None if found is None else base_layer_of(found)


def _tied_to_embedding(model: nn.Module, embedding: nn.Module | None) -> tuple[str, ...]:
    """Return the modules that PEFT counts as tied with the input embedding.

    Source: peft 0.21.2, `_get_module_names_tied_with_embedding` in `utils/other.py`.
    """
    if getattr(getattr(model, "config", None), "tie_word_embeddings", None) is False:
        return ()
    keys = getattr(model, "_tied_weights_keys", None)
    if not keys:
        return ()
    if not isinstance(keys, dict):
        return tuple(sorted({name.rpartition(".")[0] for name in keys}))
    if embedding is None:
        return ()
    tied: dict[str, str] = {}
    same: set[str] = set()
    shared = {id(parameter) for parameter in embedding.parameters()}
    for path, module in named_base_modules(model):
        prefix = f"{path}." if path else ""
        own = getattr(module, "_tied_weights_keys", None)
        if isinstance(own, dict):
            tied.update({f"{prefix}{key}": f"{prefix}{value}" for key, value in own.items()})
        same |= {
            f"{prefix}{name}"
            for name, parameter in module.named_parameters(recurse=False)
            if id(parameter) in shared
        }
    return tuple(sorted({key.rpartition(".")[0] for key, source in tied.items() if source in same}))
