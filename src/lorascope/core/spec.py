"""A LoRA configuration as PEFT's `adapter_config.json` states it, read without PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from lorascope.core.errors import SpecificationError


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """The fields of `peft.LoraConfig` that decide what is adapted, at which rank and scale.

    Names, types and defaults are PEFT's (0.21.2, `tuners/lora/config.py`). A list of
    `target_modules` or `exclude_modules` keeps the user's order here, though PEFT holds a set.
    """

    r: int = 8
    lora_alpha: float = 8
    target_modules: tuple[str, ...] | str | None = None
    exclude_modules: tuple[str, ...] | str | None = None
    target_parameters: tuple[str, ...] | None = None
    modules_to_save: tuple[str, ...] | None = None
    layers_to_transform: tuple[int, ...] | int | None = None
    layers_pattern: tuple[str, ...] | str | None = None
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    lora_dropout: float = 0.0
    bias: str = "none"
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    fan_in_fan_out: bool = False
    task_type: str | None = None
    init_lora_weights: bool | str = True
    trainable_token_indices: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None
    ensure_weight_tying: bool = False
    layer_replication: tuple[tuple[int, int], ...] | None = None
    unmodelled: tuple[str, ...] = ()
    """Other fields that are set and change what PEFT builds; see `VARIANT_FIELDS`. No field of
    PEFT's."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "adapter_config") -> LoraSpec:
        """Read the known fields of an `adapter_config.json`; others are left aside.

        Raises:
            SpecificationError: A field has a type that PEFT does not take.
        """
        known: dict[str, Any] = {}
        for spec_field in fields(cls):
            name = spec_field.name
            if name in values and name in _EXPECTED:
                known[name] = _checked(name, values[name], where)
        return cls(**known, unmodelled=_unmodelled(values))


VARIANT_FIELDS = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "megatron_config",
    "monteclora_config",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
"""Fields of `LoraConfig` (peft 0.21.2) that make another adapter than plain LoRA or DoRA."""


def _unmodelled(values: Mapping[str, Any]) -> tuple[str, ...]:
    peft_type = str(values.get("peft_type") or "LORA").rpartition(".")[2]
    other_method = () if peft_type == "LORA" else (f"peft_type={peft_type}",)
    return (*other_method, *(name for name in VARIANT_FIELDS if values.get(name)))


def _checked(name: str, value: object, where: str) -> object:
    expected = _EXPECTED[name]
    if expected == "names" and (value is None or _is_list_of(value, str)):
        return None if value is None else tuple(cast("list[str]", value))
    if expected == "names or pattern" and (
        value is None or isinstance(value, str) or _is_list_of(value, str)
    ):
        return value if value is None or isinstance(value, str) else tuple(cast("list[str]", value))
    if expected == "indices" and (value is None or _is_int(value) or _is_list_of(value, int)):
        return value if value is None or _is_int(value) else tuple(cast("list[int]", value))
    if expected in ("ranks", "alphas") and (value is None or isinstance(value, Mapping)):
        pairs = dict(value or {})
        number = _is_int if expected == "ranks" else _is_number
        if all(isinstance(key, str) and number(each) for key, each in pairs.items()):
            return pairs
    if expected == "integer" and _is_int(value):
        return value
    if expected == "number" and _is_number(value):
        return value
    if expected == "flag" and (isinstance(value, bool) or value is None):
        return bool(value)
    if expected == "flag or name" and isinstance(value, (bool, str)):
        return value
    if expected == "name" and isinstance(value, str):
        return value
    if expected == "name or none" and (value is None or isinstance(value, str)):
        return value
    if expected == "token indices":
        if value is None or _is_list_of(value, int):
            return None if value is None else tuple(cast("list[int]", value))
        if isinstance(value, Mapping) and all(_is_list_of(each, int) for each in value.values()):
            return {str(key): tuple(each) for key, each in value.items()}
    if expected == "layer ranges":
        if value is None:
            return None
        if isinstance(value, (list, tuple)) and all(
            _is_list_of(pair, int) and len(pair) == 2 for pair in value
        ):
            return tuple((pair[0], pair[1]) for pair in value)
    raise SpecificationError(
        f"{where}: {name} is {value!r}; expected {_WORDS[expected]}.",
    )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(
        isinstance(each, kind) and not isinstance(each, bool) for each in value
    )


_EXPECTED = {
    "r": "integer",
    "lora_alpha": "number",
    "target_modules": "names or pattern",
    "exclude_modules": "names or pattern",
    "target_parameters": "names",
    "modules_to_save": "names",
    "layers_to_transform": "indices",
    "layers_pattern": "names or pattern",
    "rank_pattern": "ranks",
    "alpha_pattern": "alphas",
    "lora_dropout": "number",
    "bias": "name",
    "use_rslora": "flag",
    "use_dora": "flag",
    "lora_bias": "flag",
    "fan_in_fan_out": "flag",
    "task_type": "name or none",
    "init_lora_weights": "flag or name",
    "trainable_token_indices": "token indices",
    "ensure_weight_tying": "flag",
    "layer_replication": "layer ranges",
}

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "names or pattern": "a list of module names, or one regular expression as a string",
    "names": "a list of names, or null",
    "indices": "a layer index, a list of them, or null",
    "ranks": "an object of pattern to whole number",
    "alphas": "an object of pattern to number",
    "name": "a string",
    "name or none": "a string or null",
    "flag": "true or false",
    "flag or name": "true, false or the name of an initialization",
    "token indices": "a list of token indices, or an object of layer name to such a list",
    "layer ranges": "a list of [start, end] pairs, or null",
}
