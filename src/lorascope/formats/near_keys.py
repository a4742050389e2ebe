"""Keys that a tool does not know, and which of its keys may be meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from lorascope.core.recipe import Spot
from lorascope.formats.node import Node

_ALIKE = 0.85
"""`difflib` ratio from which a key counts as misspelt: one letter in seven."""
_LONGEST = 60
"""Characters of a key up to which it is compared; comparing takes time quadratic in them."""
_MOST_COMPARED = 300

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "r": ("r", "rank", "lora_r", "lora_rank", "lora_dim", "lora_dimension", "peft_r"),
    "lora_alpha": ("alpha", "lora_alpha", "lora_scale", "lora_scaling"),
    "lora_dropout": ("dropout", "lora_dropout", "lora_drop_out"),
    "target_modules": (
        "target_modules",
        "target_module",
        "targets",
        "lora_target_modules",
        "lora_target_module",
        "lora_target",
        "lora_targets",
        "lora_modules",
        "peft_target_modules",
    ),
    "exclude_modules": ("exclude_modules", "lora_exclude_modules", "excluded_modules"),
    "target_parameters": (
        "target_parameters",
        "target_params",
        "lora_target_parameters",
        "lora_target_params",
    ),
    "modules_to_save": (
        "modules_to_save",
        "module_to_save",
        "lora_modules_to_save",
        "lora_module_to_save",
        "additional_target",
        "additional_targets",
    ),
    "layers_to_transform": (
        "layers_to_transform",
        "lora_layers_to_transform",
        "peft_layers_to_transform",
        "lora_layers",
    ),
    "layers_pattern": ("layers_pattern", "lora_layers_pattern", "peft_layers_pattern"),
    "rank_pattern": ("rank_pattern", "lora_rank_pattern", "peft_rank_pattern"),
    "alpha_pattern": ("alpha_pattern", "lora_alpha_pattern", "peft_alpha_pattern"),
    "use_rslora": ("use_rslora", "rslora", "peft_use_rslora", "lora_use_rslora", "lora_rslora"),
    "use_dora": ("use_dora", "dora", "peft_use_dora", "lora_use_dora", "lora_dora"),
    "fan_in_fan_out": ("fan_in_fan_out", "lora_fan_in_fan_out"),
    "trainable_token_indices": (
        "trainable_token_indices",
        "peft_trainable_token_indices",
        "lora_trainable_token_indices",
    ),
    "init_lora_weights": ("init_lora_weights", "peft_init_lora_weights"),
    "bias": ("lora_bias_type",),
}
"""PEFT's field → what tools and people call it."""

_FIELD_OF: Mapping[str, str] = {
    spelling: field for field, spellings in SPELLINGS.items() for spelling in spellings
}


def near_keys(
    mapping: Node, key_of: Mapping[str, str], others: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return the keys of a mapping that the tool does not know but that mean a LoRA setting.

    Args:
        mapping: Of the file.
        key_of: PEFT's field → the tool's key for it. What it lacks the tool cannot say.
        others: Further keys that the tool knows: those a misspelling could be taken for.

    Returns:
        Unknown key → the tool's keys that may be meant, the nearest first; empty if the tool has
        none for what the key means.
    """
    tools_keys = tuple(dict.fromkeys(key_of.values()))
    known = {*tools_keys, *others}
    found: dict[str, tuple[str, ...]] = {}
    compared = 0
    for key in mapping.fields:
        if key in known or len(key) > _LONGEST:
            continue
        if key in _FIELD_OF:
            meant = key_of.get(_FIELD_OF[key])
            found[key] = () if meant is None else (meant,)
        elif compared < _MOST_COMPARED:
            compared += 1
            alike = _alike(key, dict.fromkeys((*tools_keys, *others)))
            close = tuple(each for each in alike if each in tools_keys)
            if close and alike[0] in close:
                found[key] = close
    return found


def _alike(key: str, known: Iterable[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(key, known, n=3, cutoff=_ALIKE))


def spots_of_keys(mapping: Node, keys: Iterable[str]) -> dict[tuple[str, str | None], Spot]:
    """Return where unknown keys stand, as a `Recipe` keeps them."""
    return {("", key): mapping.keys[key] for key in keys if key in mapping.keys}
