"""Keys that a tool does not have, and which of its keys may be meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from lorascope.formats.keys import Key, names_of
from lorascope.formats.node import Node

_ALIKE = 0.85
"""`difflib` ratio from which a key counts as misspelt: one letter in seven."""
_ALIKE_IF_WRONG = 0.8
"""The same where a key is known to be wrong, and only what is meant is asked."""
_LONGEST = 60
"""Characters of a key up to which it is compared; comparing takes time quadratic in them."""
_MOST_COMPARED = 500

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "r": (
        "r",
        "rank",
        "lora_r",
        "lora_rank",
        "lora_dim",
        "lora_dimension",
        "peft_r",
        "peft_lora_r",
    ),
    "lora_alpha": (
        "alpha",
        "lora_alpha",
        "lora_alfa",
        "lora_scale",
        "lora_scaling",
        "peft_lora_alpha",
    ),
    "lora_dropout": (
        "dropout",
        "lora_dropout",
        "lora_drop_out",
        "lora_dropout_p",
        "peft_lora_dropout",
    ),
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


def unknown_keys(
    mapping: Node,
    keys: Iterable[Key],
    others: Iterable[str] = (),
    *,
    meant: Mapping[str, str] | None = None,
    is_closed: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Return the keys of a mapping that the tool does not have but that mean a LoRA setting.

    Args:
        mapping: A command, or a mapping of a file.
        keys: The tool's own of the LoRA part. A setting that none says the tool does not have.
        others: Further keys that the tool has: those that a misspelling could be taken for.
        meant: Keys of other tools or versions → the tool's own, where `SPELLINGS` lacks them.
        is_closed: Whether the mapping may hold no other keys, so that each is returned.

    Returns:
        Unknown key → the tool's keys that may be meant, the nearest first; empty if the tool has
        none for what the key means, or nothing is near.
    """
    keys = tuple(keys)
    own = dict.fromkeys(key.name for key in keys)
    known = dict.fromkeys((*own, *others))
    name_of = names_of(keys)
    found: dict[str, tuple[str, ...]] = {}
    for key in list(mapping.keys)[:_MOST_COMPARED]:
        if key in known:
            continue
        if meant is not None and key in meant:
            found[key] = (meant[key],)
        elif key in _FIELD_OF:
            name = name_of.get(_FIELD_OF[key])
            found[key] = () if name is None else (name,)
        else:
            near = near_keys(key, known, _ALIKE_IF_WRONG if is_closed else _ALIKE)
            close = tuple(each for each in near if each in own)
            if is_closed or (close and close[0] == near[0]):
                found[key] = close
    return found


def near_keys(key: str, known: Collection[str], alike: float = _ALIKE_IF_WRONG) -> tuple[str, ...]:
    """Return the known keys that a misspelt one may mean, the nearest first."""
    if len(key) > _LONGEST:
        return ()
    plain = key.lower().replace("-", "_")
    return tuple(get_close_matches(plain, known, n=3, cutoff=alike))
