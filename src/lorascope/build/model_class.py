"""Which transformers class a config means."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, TypeGuard

import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from lorascope.core.errors import ModelBuildError, ModelConfigError, UnknownModelTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

TASK_MAPPINGS: dict[str, tuple[str, ...]] = {
    "CAUSAL_LM": ("MODEL_FOR_CAUSAL_LM_MAPPING", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING"),
    "SEQ_CLS": ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",),
    "TOKEN_CLS": ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",),
    "QUESTION_ANS": ("MODEL_FOR_QUESTION_ANSWERING_MAPPING",),
    "SEQ_2_SEQ_LM": (
        "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
        "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    ),
    "FEATURE_EXTRACTION": ("MODEL_MAPPING",),
}
"""PEFT task type → transformers' auto-class mappings that serve it, in order of preference."""

MAIN_MAPPINGS: tuple[str, ...] = (
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_CTC_MAPPING",
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING",
    "MODEL_MAPPING",
)
"""Where the class of a model type is looked up when the config names none, first hit wins."""


def config_class(model_type: str) -> type[Any]:
    """Return the config class of a transformers model type.

    Raises:
        UnknownModelTypeError: The installed transformers has no such type; the hint names the
            nearest ones.
    """
    try:
        found: type[Any] = CONFIG_MAPPING[model_type]
    except KeyError:
        near = difflib.get_close_matches(model_type, list(CONFIG_MAPPING.keys()), n=3)
        nearest = f"Nearest types: {', '.join(near)}. " if near else ""
        raise UnknownModelTypeError(
            f"transformers {transformers.__version__} has no model type {model_type!r}.",
            f"{nearest}A newer transformers may have it; a directory, a config.json or a Hub id "
            "can be given as well.",
        ) from None
    return found


def model_class(config: Any, architectures: Sequence[str], task_type: str | None) -> type[Any]:
    """Return the class to build for `config`.

    Args:
        config: A `PretrainedConfig`.
        architectures: What the config states; the first name that transformers knows is taken.
        task_type: PEFT task type that overrides `architectures`, or None.

    Raises:
        ModelBuildError: No class of the installed transformers serves it.
        ModelConfigError: The stated architecture belongs to another model type.
    """
    if task_type is not None:
        return _class_for_task(config, task_type)
    for name in architectures:
        stated = getattr(transformers, name, None)
        if _is_concrete(stated):
            _require_same_family(stated, config)
            return stated
    found = _first_class(config, _preferred_mappings(config))
    if found is None:
        raise ModelBuildError(
            f"transformers has no model class for the config of type {config.model_type!r}.",
            "Only configs of whole models can be built, not those of one of their parts.",
        )
    return found


def _preferred_mappings(config: Any) -> tuple[str, ...]:
    """Put first what the model type is published as when several classes could be built."""
    first: tuple[str, ...] = ()
    if getattr(config, "is_encoder_decoder", False):
        first = ("MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING", "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING")
    elif getattr(config, "is_decoder", None) is False:
        first = ("MODEL_FOR_MASKED_LM_MAPPING",)
    return (*first, *MAIN_MAPPINGS)


def _class_for_task(config: Any, task_type: str) -> type[Any]:
    if task_type not in TASK_MAPPINGS:
        raise ModelBuildError(
            f"Task type {task_type!r} is not one of {', '.join(TASK_MAPPINGS)}.",
        )
    found = _first_class(config, TASK_MAPPINGS[task_type])
    if found is None:
        served = [
            task for task, names in TASK_MAPPINGS.items() if _first_class(config, names) is not None
        ]
        raise ModelBuildError(
            f"transformers has no {task_type} class for the model type {config.model_type!r}.",
            f"It has classes for: {', '.join(served) or 'no task'}.",
        )
    return found


def _first_class(config: Any, mapping_names: Sequence[str]) -> type[Any] | None:
    """Return the first class; one that takes only the config's text part if no other is there."""
    listed: list[type[Any]] = []
    for name in mapping_names:
        mapping = getattr(modeling_auto, name)
        if type(config) in mapping:
            found: type[Any] | tuple[type[Any], ...] = mapping[type(config)]
            listed.append(found[0] if isinstance(found, tuple) else found)
    whole = [each for each in listed if not _is_of_text_part(each, config)]
    return next(iter((*whole, *listed)), None)


def _is_of_text_part(found: type[Any], config: Any) -> bool:
    """Whether it is built from `config.text_config` alone: `Llama4ForCausalLM` of `llama4`."""
    part = getattr(type(config), "sub_configs", {}).get("text_config")
    return part is not None and getattr(found, "config_class", None) is part


def _is_concrete(stated: object) -> TypeGuard[type[Any]]:
    """Whether it is a model class that builds something, not a family's base class."""
    return (
        isinstance(stated, type)
        and issubclass(stated, transformers.PreTrainedModel)
        and not stated.__name__.endswith("PreTrainedModel")
    )


def _require_same_family(stated: type[Any], config: Any) -> None:
    expected = stated.config_class
    if expected is None or isinstance(config, expected):
        return
    if config.model_type in _types_built_by(stated):
        return
    raise ModelConfigError(
        f"The config contradicts itself: architectures says {stated.__name__}, which takes a "
        f"config of type {expected.model_type!r}, but model_type is {config.model_type!r}.",
        f"Set model_type to {expected.model_type!r}, or remove architectures.",
    )


def _types_built_by(stated: type[Any]) -> set[str]:
    types = set()
    for mapping_name in MAIN_MAPPINGS:
        for model_type, class_names in getattr(modeling_auto, f"{mapping_name}_NAMES").items():
            names = (class_names,) if isinstance(class_names, str) else class_names
            if stated.__name__ in names:
                types.add(model_type)
    return types
