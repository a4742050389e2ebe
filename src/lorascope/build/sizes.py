"""Compare the sizes that a config states with those of the model that is built from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.build.info import built_sizes
from lorascope.core.errors import IgnoredSizesError
from lorascope.source.config_fields import stated_config

COMPARED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
)


def require_stated_sizes(stated: Mapping[str, Any], config: Any) -> None:
    """Raise if the config class has ignored sizes that the config states at its top level.

    A flat text config under a composite `model_type` (as published for gemma3) is read without
    complaint, its sizes are ignored and a default model of another size is built.

    Args:
        stated: The config as written.
        config: The `PretrainedConfig` made of it.

    Raises:
        IgnoredSizesError: Names the fields, what was stated and what would be built.
    """
    sub_names = getattr(type(config), "sub_configs", None)
    if not sub_names or any(isinstance(stated.get(name), Mapping) for name in sub_names):
        return
    asked = stated_config(stated).top
    built = built_sizes(config)
    wrong = [
        f"{name} {getattr(asked, name)} stated, {getattr(built, name)} built"
        for name in COMPARED
        if getattr(asked, name) is not None
        and getattr(built, name) is not None
        and getattr(asked, name) != getattr(built, name)
    ]
    if not wrong:
        return
    text_type = getattr(config.get_text_config(), "model_type", None)
    hint = (
        f"It reads like the config of a {text_type!r} model: set model_type to that, or put the "
        "sizes under text_config."
        if text_type and text_type != config.model_type
        else "Put the sizes under the sub-config they belong to."
    )
    raise IgnoredSizesError(
        f"The config is of type {config.model_type!r}, whose class ignores the sizes stated at "
        f"top level: {'; '.join(wrong)}.",
        hint,
    )
