"""A LoRA configuration as PEFT's `adapter_config.json` states it, read without PEFT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
        for name, form in _FORMS.items():
            if name in values:
                try:
                    known[name] = form.read(values[name])
                except ValueError:
                    raise SpecificationError(
                        f"{where}: {name} is {values[name]!r}; expected {form.words}."
                    ) from None
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


_LARGEST = 10**12
"""Beyond any rank, alpha, layer or token; larger numbers overflow what is computed of them."""


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_number(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and abs(value) <= _LARGEST)


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(
        _is_int(each) if kind is int else isinstance(each, kind) for each in value
    )


def _taken(value: Any, is_right: bool) -> Any:
    if not is_right:
        raise ValueError
    return tuple(value) if isinstance(value, (list, set, frozenset)) else value


def _integer(value: Any) -> Any:
    return _taken(value, _is_int(value))


def _number(value: Any) -> Any:
    return _taken(value, _is_number(value))


def _flag(value: Any) -> bool:
    return bool(_taken(value, value is None or isinstance(value, bool)))


def _flag_or_name(value: Any) -> Any:
    return _taken(value, isinstance(value, (bool, str)))


def _name(value: Any) -> Any:
    return _taken(value, isinstance(value, str))


def _name_or_none(value: Any) -> Any:
    return _taken(value, value is None or isinstance(value, str))


def _names(value: Any) -> Any:
    return _taken(value, value is None or _is_list_of(value, str))


def _names_or_pattern(value: Any) -> Any:
    return value if isinstance(value, str) else _names(value)


def _indices(value: Any) -> Any:
    return _taken(value, value is None or _is_list_of(value, int))


def _index_or_indices(value: Any) -> Any:
    return value if _is_int(value) else _indices(value)


def _by_pattern(value: Any, is_right: Callable[[object], bool]) -> dict[str, Any]:
    pairs = {} if value is None else value
    right = isinstance(pairs, Mapping) and all(
        isinstance(key, str) and is_right(each) for key, each in pairs.items()
    )
    return dict(_taken(pairs, right))


def _ranks(value: Any) -> dict[str, Any]:
    return _by_pattern(value, _is_int)


def _alphas(value: Any) -> dict[str, Any]:
    return _by_pattern(value, _is_number)


def _token_indices(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _indices(value)
    return {str(key): tuple(_taken(each, _is_list_of(each, int))) for key, each in value.items()}


def _layer_ranges(value: Any) -> Any:
    if value is None:
        return None
    pairs = _taken(value, isinstance(value, (list, tuple)))
    return tuple(_taken(pair, _is_list_of(pair, int) and len(pair) == 2) for pair in pairs)


@dataclass(frozen=True, slots=True)
class _Form:
    """What a field may hold."""

    read: Callable[[Any], Any]
    """Returns the value as `LoraSpec` holds it; raises `ValueError` for another type."""
    words: str
    """For messages."""


_NAMES = _Form(_names, "a list of names, or null")
_NAMES_OR_PATTERN = _Form(
    _names_or_pattern, "a list of module names, or one regular expression as a string"
)
_FLAG = _Form(_flag, "true or false")

_FORMS: Mapping[str, _Form] = {
    "r": _Form(_integer, "a whole number"),
    "lora_alpha": _Form(_number, "a number"),
    "target_modules": _NAMES_OR_PATTERN,
    "exclude_modules": _NAMES_OR_PATTERN,
    "target_parameters": _NAMES,
    "modules_to_save": _NAMES,
    "layers_to_transform": _Form(_index_or_indices, "a layer index, a list of them, or null"),
    "layers_pattern": _NAMES_OR_PATTERN,
    "rank_pattern": _Form(_ranks, "an object of pattern to whole number"),
    "alpha_pattern": _Form(_alphas, "an object of pattern to number"),
    "lora_dropout": _Form(_number, "a number"),
    "bias": _Form(_name, "a string"),
    "use_rslora": _FLAG,
    "use_dora": _FLAG,
    "lora_bias": _FLAG,
    "fan_in_fan_out": _FLAG,
    "task_type": _Form(_name_or_none, "a string or null"),
    "init_lora_weights": _Form(_flag_or_name, "true, false or the name of an initialization"),
    "trainable_token_indices": _Form(
        _token_indices, "a list of token indices, or an object of layer name to such a list"
    ),
    "ensure_weight_tying": _FLAG,
    "layer_replication": _Form(_layer_ranges, "a list of [start, end] pairs, or null"),
}
