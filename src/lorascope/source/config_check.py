"""Refuse configs that ask for impossible sizes or contradict themselves, before any build.

Only rules that no published config breaks; what depends on the class is left to transformers,
which checks it when the model is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.errors import ModelConfigError
from lorascope.source.config_fields import SPELLINGS, named_size
from lorascope.source.config_possible import check_possible

MOST_LAYERS = 1_000
"""Of one kind, at one level; the deepest published model has 130."""
MOST_BLOCKS = 2_000
"""Layers and blocks of all kinds and levels together."""
MOST_EXPERTS = 100_000
MOST_EXPERT_MODULES = 200_000
"""Layers times experts, for classes that build one module an expert."""
_LARGEST: Mapping[str, int] = {
    "hidden_size": 1_000_000,
    "intermediate_size": 10_000_000,
    "num_hidden_layers": MOST_LAYERS,
    "num_attention_heads": 100_000,
    "num_key_value_heads": 100_000,
    "vocab_size": 100_000_000,
    "num_experts": MOST_EXPERTS,
    "experts_per_token": MOST_EXPERTS,
}
_BY_SPELLING = {
    spelling: largest
    for name, largest in _LARGEST.items()
    for spelling in SPELLINGS[name]
    if spelling != "dim"  # also a rotary embedding's or a convolution's, with other forms
}
_COUNTS = (
    (re.compile(r"(?!max_)(.*_)?(layers?|blocks|depths?|stages)"), MOST_LAYERS),
    (re.compile(r"(.*_)?experts?"), MOST_EXPERTS),
    (re.compile(r"(.*_)?(codebooks|quantizers|groups|loops)"), 10_000),
    (re.compile(r".*(flows|attends|functions|convs|repeats|networks)(_.*)?"), 10_000),
    (re.compile(r"(depth|width)_(coefficient|multiplier)"), 1_000),
    (re.compile(r"num_labels|num_classes"), 200_000),
    (re.compile(r"(.*_)?(size|sizes|dim|dims)"), 1_000_000_000),
    (
        re.compile(
            r"(?!.*(position|vocab|token|embedding|ctx|context|length|size|dim|sample|step|param))"
            r"((.*_)?(num|number|n)_.*|.*(block|group|depth|channels).*|.*_(num|number|coefficient))"
        ),
        1_000_000,
    ),
)
"""Counts of modules under any other name (full match), with their bounds."""
_BLOCKS = re.compile(
    r"(?!max_)((.*_)?(n_layer|layers|blocks|depths?)|(blocks|layers)_per_(stage|stack)"
    r"|.*numb?_(of_)?layers.*)"
)
"""Numbers of layers and blocks, or lists of one number a stage (full match)."""
_INDICES = re.compile(r"(?!.*(num|depths|per_st|^n_)).*(layers|blocks)")
"""Lists of layer indices, which name layers instead of counting them (full match)."""
_LISTS = re.compile(r".*(layer|block|depth).*")
_DEEPEST = 100
_FLAT_EXPERTS = frozenset({"doge"})
"""Types whose experts are rows of one embedding, not modules."""
_EVEN_HEADS = frozenset(
    {
        "bert", "bloom", "codegen", "electra", "falcon", "gpt2", "gpt_bigcode", "gpt_neo",
        "gpt_neox", "gptj", "granite", "llama", "mixtral", "olmo", "olmo2", "opt", "phi", "phi3",
        "qwen2", "qwen2_moe", "roberta", "stablelm", "starcoder2", "vit",
    }
)  # fmt: skip
"""Types whose head size is hidden_size / num_attention_heads unless head_dim is stated."""
_GROUPED_QUERY = frozenset(
    {
        "cohere", "gemma", "gemma2", "gemma3_text", "gpt_oss", "granite", "llama", "mistral",
        "mixtral", "olmo2", "phi", "phi3", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe",
        "stablelm", "starcoder2",
    }
)  # fmt: skip
"""Types whose query heads share key-value heads in equal groups."""


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Check every nesting level of `config`.

    Args:
        config: As stated.
        where: What messages call it.

    Raises:
        ModelConfigError: A size is impossible, or two fields contradict each other.
    """
    blocks = 0
    for prefix, level in _levels(config, where):
        _check_model_type(level.get("model_type"), f"{where}: {prefix}model_type")
        for key, value in level.items():
            _check_field(key, value, f"{where}: {prefix}{key}")
        _check_expert_modules(level, f"{where}: {prefix}")
        check_possible(level, f"{where}: {prefix}")
        _check_heads(level, f"{where}: {prefix}")
        _check_layer_types(level, f"{where}: {prefix}")
        blocks += sum(_blocks(key, value) for key, value in level.items())
        if blocks > MOST_BLOCKS:
            raise ModelConfigError(
                f"{where}: it asks for {_quoted(blocks)} layers and blocks in all; expected at most"
                f" {MOST_BLOCKS:,}."
            )


def _levels(config: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (dotted prefix, mapping) for the config and all mappings in it. No recursion."""
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", config)]
    while waiting:
        prefix, level = waiting.pop()
        yield prefix, level
        if prefix.count(".") > _DEEPEST:
            raise ModelConfigError(f"{where}: {prefix:.80} is nested too deeply for a config.")
        for key, value in level.items():
            if isinstance(value, Mapping):
                waiting.append((f"{prefix}{key}.", value))


def _check_field(key: str, value: object, where: str) -> None:
    exact = _BY_SPELLING.get(key)
    if exact is not None:
        _check_size(value, exact, where)
        return
    for pattern, largest in _COUNTS:
        if pattern.fullmatch(key):
            _check_at_most(value, largest, where)
    if isinstance(value, list) and len(value) > MOST_LAYERS and _LISTS.fullmatch(key):
        raise ModelConfigError(
            f"{where} lists {len(value):,} entries; expected at most {MOST_LAYERS:,}."
        )


def _check_model_type(value: object, where: str) -> None:
    if value is not None and not isinstance(value, str):
        raise ModelConfigError(f"{where} is {_quoted(value)}; expected a string.")


def _blocks(key: str, value: object) -> int:
    """How many layers or blocks a field asks for; 0 if it counts none."""
    if not _BLOCKS.fullmatch(key):
        return 0
    if isinstance(value, list) and _INDICES.fullmatch(key):
        return 0
    return sum(each for each in _leaves(value) if isinstance(each, int) and each > 0)


def _leaves(value: object) -> Iterator[object]:
    """Yield what lists in lists hold. No recursion."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        else:
            yield each


def _check_size(value: object, largest: int, where: str) -> None:
    """A size is null, a whole number, or (in some families) one whole number a layer."""
    if value is None or isinstance(value, Mapping):
        return
    if isinstance(value, list):
        if len(value) > MOST_LAYERS:
            raise ModelConfigError(
                f"{where} lists {len(value):,} values; expected at most {MOST_LAYERS:,}."
            )
        for each in _leaves(value):
            _check_size(each, largest, where)
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole and not (isinstance(value, float) and value.is_integer()):
        raise ModelConfigError(f"{where} is {_quoted(value)}; expected a whole number.")
    if isinstance(value, (int, float)) and value < 0:
        raise ModelConfigError(f"{where} is {_quoted(value)}; expected a positive whole number.")
    _check_at_most(value, largest, where)


def _check_at_most(value: object, largest: int, where: str) -> None:
    for each in _leaves(value):
        if isinstance(each, (int, float)) and each > largest:
            raise ModelConfigError(f"{where} is {_quoted(each)}; expected at most {largest:,}.")


def _check_expert_modules(level: Mapping[str, Any], where: str) -> None:
    layers = named_size(level, "num_hidden_layers")
    experts = named_size(level, "num_experts")
    if layers is None or experts is None or level.get("model_type") in _FLAT_EXPERTS:
        return
    if layers[1] * experts[1] > MOST_EXPERT_MODULES:
        raise ModelConfigError(
            f"{where}{layers[0]} × {experts[0]} is {layers[1]:,} × {experts[1]:,}; expected at"
            f" most {MOST_EXPERT_MODULES:,} experts in all layers."
        )


def _check_heads(level: Mapping[str, Any], where: str) -> None:
    model_type = level.get("model_type")
    hidden = named_size(level, "hidden_size")
    heads = named_size(level, "num_attention_heads")
    groups = named_size(level, "num_key_value_heads")
    if heads is None or not heads[1]:
        return
    if (
        model_type in _EVEN_HEADS
        and hidden is not None
        and hidden[1] % heads[1]
        and level.get("head_dim") is None
    ):
        raise ModelConfigError(
            f"{where}{hidden[0]} ({hidden[1]:,}) is not a multiple of {heads[0]} ({heads[1]:,}),"
            " and no head_dim is stated."
        )
    if model_type in _GROUPED_QUERY and groups is not None and groups[1] and heads[1] % groups[1]:
        raise ModelConfigError(
            f"{where}{heads[0]} ({heads[1]:,}) is not a multiple of {groups[0]} ({groups[1]:,})."
        )


def _check_layer_types(level: Mapping[str, Any], where: str) -> None:
    """More types than layers are fine: some families also list their prediction layers."""
    types = level.get("layer_types")
    layers = named_size(level, "num_hidden_layers")
    if isinstance(types, list) and layers is not None and len(types) < layers[1]:
        raise ModelConfigError(
            f"{where}layer_types lists {len(types):,} layers, but {layers[0]} is {layers[1]:,}."
        )


def _quoted(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) < 10**30 else "a number of over 30 digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
