"""Axolotl's YAML files.

Source of all that is said of Axolotl here: axolotl 0.19.0, `loaders/adapter.py`,
`loaders/utils.py` and `utils/schemas/peft.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError, SpecificationError
from lorascope.core.inventory import Inventory, Module
from lorascope.core.recipe import Recipe, Tool
from lorascope.core.roles import Kind
from lorascope.formats import forms
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, names_of, read_keys, text_of
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax
from lorascope.matching.names import EntryList, visited_modules

KEYS = (
    Key("lora_r", forms.LOOSE_WHOLE, "r"),
    Key("lora_alpha", forms.LOOSE_WHOLE, "lora_alpha"),
    Key("lora_dropout", forms.NUMBER, "lora_dropout"),
    Key("lora_target_modules", forms.NAMES_OR_TEXT, "target_modules"),
    Key("lora_target_parameters", forms.NAMES_OR_TEXT, "target_parameters"),
    Key("lora_modules_to_save", forms.NAMES, "modules_to_save"),
    Key("lora_rank_pattern", forms.BY_NAME, "rank_pattern"),
    Key("lora_alpha_pattern", forms.BY_NAME, "alpha_pattern"),
    Key("lora_fan_in_fan_out", forms.FLAG, "fan_in_fan_out"),
    Key("peft_layers_to_transform", forms.INDICES, "layers_to_transform"),
    Key("peft_layers_pattern", forms.NAMES, "layers_pattern"),
    Key("peft_layer_replication", forms.RANGES, "layer_replication"),
    Key("peft_init_lora_weights", forms.FLAG_OR_TEXT, "init_lora_weights"),
    Key("peft_use_dora", forms.FLAG, "use_dora"),
    Key("peft_use_rslora", forms.FLAG, "use_rslora"),
    Key("peft_trainable_token_indices", forms.TOKENS, "trainable_token_indices"),
    Key("peft_ensure_weight_tying", forms.FLAG, "ensure_weight_tying"),
)
"""Of the LoRA part. There is none for exclusions: 0.19.0 reads `lora_exclude_modules` after it has
dropped every key that its schema does not know, which this one is."""

_OTHERS = (
    "lora_target_linear",
    "lora_model_dir",
    "lora_on_cpu",
    "lora_mlp_kernel",
    "lora_qkv_kernel",
    "lora_o_kernel",
    "lora_embedding_kernel",
    "loraplus_lr_ratio",
    "loraplus_lr_embedding",
    "peft_autocast_adapter_dtype",
    "qgalore_rank",
    "optim_target_modules",
)
"""Further keys near to those."""

_LINEAR = Key("lora_target_linear", forms.FLAG)
_AS_WRITTEN = (
    "adapter",
    "load_in_4bit",
    "load_in_8bit",
    "gptq",
    "model_quantization_config",
    "quantize_moe_experts",
    "lora_model_dir",
    "relora",
    "unfrozen_parameters",
    "freeze_mm_modules",
    "peft",
    "reward_model",
    "process_reward_model",
    "type_of_model",
    "base_model_config",
    "overrides_of_model_config",
    "plugins",
    "loraplus_lr_ratio",
)
OPTIONS = (_LINEAR, *(Key(name, forms.ANYTHING) for name in _AS_WRITTEN))
"""Only the first is known by its type."""

_OWN = frozenset(
    {
        "lora_target_linear",
        "lora_model_dir",
        "peft_use_dora",
        "peft_use_rslora",
        "peft_layers_to_transform",
        "micro_batch_size",
        "sequence_len",
        "sample_packing",
        "val_set_size",
        "dataset_prepared_path",
        "pad_to_sequence_len",
    }
)
"""Keys that no other tool has."""

_LINEAR_ROPE = "LlamaLinearScalingRotaryEmbedding"
_OUTPUT_EMBEDDING = {"gpt_neox": "embed_out"}
_USUAL_OUTPUT_EMBEDDING = "lm_head"


def _recognizes(root: Node, syntax: Syntax) -> bool:
    keys = root.fields.keys()
    if syntax is Syntax.SHELL or "model_name_or_path" in keys:
        return False
    return "base_model" in keys and ("adapter" in keys or not _OWN.isdisjoint(keys))


def _read(root: Node, origin: str) -> Recipe:
    _check_adapter(root, origin)
    reading = read_keys(root, (*KEYS, *OPTIONS), origin)
    reading.key_of = names_of(KEYS) | reading.key_of
    reading.add_unknown(root, unknown_keys(root, KEYS, _OTHERS))
    return reading.recipe(
        Tool.AXOLOTL,
        origin,
        text_of(root, "base_model", where=origin),
        text_of(root, "revision_of_model", where=origin),
    )


def _check_adapter(root: Node, origin: str) -> None:
    node = root.fields.get("adapter")
    if node is None or not node.value:
        raise NoLoraError(
            f"{origin} states no adapter: Axolotl trains all weights.",
            "Add `adapter: lora` or `adapter: qlora`.",
        )
    if node.value not in ("lora", "qlora"):
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: adapter is {node.value!r}; "
            "expected 'lora' or 'qlora'.",
            "Only LoRA configurations are read.",
        )


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return what Axolotl gives `LoraConfig`: without targets an empty list, so no default.

    Raises:
        SpecificationError: Rank or alpha is missing: Axolotl has no default for them.
    """
    stated = recipe.stated
    if recipe.options.get("lora_model_dir") is None:
        _check_given(recipe, "r", "lora_alpha")
    return {
        "target_parameters": (),
        **stated,
        **_start(recipe),
        "lora_dropout": _dropout(recipe, inventory),
        "target_modules": _targets(recipe, inventory),
        "modules_to_save": stated.get("modules_to_save") or None,
        "bias": "none",
        "task_type": _task_type(recipe, inventory),
    }


def _start(recipe: Recipe) -> Mapping[str, Any]:
    """Return how the weights start: bits for LoftQ choose it, and false is not handed on.

    Source: axolotl 0.19.0, `_build_lora_config_kwargs` in `loaders/adapter.py`.
    """
    section = recipe.options.get("peft")
    loftq = section.get("loftq_config") if isinstance(section, Mapping) else None
    bits = loftq.get("loftq_bits") if isinstance(loftq, Mapping) else None
    if bits:
        init = recipe.stated.get("init_lora_weights") or "loftq"
        return {"loftq_config": {"loftq_bits": bits, "loftq_iter": 1}, "init_lora_weights": init}
    return {} if recipe.stated.get("init_lora_weights", True) else {"init_lora_weights": True}


def _dropout(recipe: Recipe, inventory: Inventory) -> Any:
    """The dropout that PEFT sees: none where it makes expert parameters of old names by itself.

    There Axolotl keeps the dropout of the other layers and builds the experts without, which
    selects and counts like no dropout at all.

    Source: axolotl 0.19.0, `_patch_peft_param_wrapper_dropout` in `loaders/adapter.py`.
    """
    stated = recipe.stated.get("lora_dropout", 0.0)
    rewritten = inventory.model.expert_rewrite and not recipe.stated.get("target_parameters")
    return 0.0 if rewritten else stated


def _check_given(recipe: Recipe, *names: str) -> None:
    for name in names:
        if name not in recipe.stated:
            raise SpecificationError(
                f"{recipe.origin}: {recipe.key(name)} is missing; Axolotl has no default for it.",
                f"Add it, for example `{recipe.key(name)}: 16`.",
            )


def _targets(recipe: Recipe, inventory: Inventory) -> Any:
    """The list or pattern as stated; with `lora_target_linear` a list, with all linears in it.

    A pattern then becomes an entry of the list, and so a name that PEFT takes literally.
    """
    stated = recipe.stated.get("target_modules") or ()
    if _is_set(recipe, "lora_target_linear"):
        listed = (stated,) if isinstance(stated, str) else tuple(stated)
        stated = tuple(dict.fromkeys((*listed, *linear_names(inventory))))
    return stated if isinstance(stated, str) else _redirected(tuple(stated), inventory)


def _redirected(entries: tuple[str, ...], inventory: Inventory) -> tuple[str, ...]:
    """Return a list with the linears inside of the wrappers that Axolotl looks through.

    Where the list names none of them it stays; else the names of all that it names are written out.

    Source: axolotl 0.19.0, `_patch_peft_clippable_linear` in `loaders/adapter.py`.
    """
    wrappers = frozenset(m.path for m in inventory.modules if m.cls == _LOOKED_THROUGH)
    if not wrappers:
        return entries
    named = EntryList(entries).named(path for path in visited_modules(inventory) if path)
    if wrappers.isdisjoint(named):
        return entries
    return tuple(f"{path}.linear" if path in wrappers else path for path in named)


_LOOKED_THROUGH = "Gemma4ClippableLinear"


def _is_set(recipe: Recipe, option: str) -> bool:
    return forms.is_on(recipe.options.get(option))


def linear_names(inventory: Inventory) -> tuple[str, ...]:
    """Return what `lora_target_linear` stands for, sorted: last parts of the linears' names.

    Every tower is in it; only the name of the output embedding is left out, and with it all
    modules that are called the same. Conv1D and expert parameters are none.

    Source: axolotl 0.19.0, `find_all_linear_names` in `loaders/adapter.py`.
    """
    left_out = _OUTPUT_EMBEDDING.get(inventory.model.model_type or "", _USUAL_OUTPUT_EMBEDDING)
    names = {module.name for module in inventory.modules if _is_linear(module)}
    return tuple(sorted(names - {left_out}))


def _is_linear(module: Module) -> bool:
    if module.alias_of is not None or not module.path:
        return False
    if module.kind is Kind.LINEAR:
        return module.cls != _LINEAR_ROPE
    return "Linear" in module.cls and module.cls != _LINEAR_ROPE


def _task_type(recipe: Recipe, inventory: Inventory) -> str:
    """By the model's class, as Axolotl chooses it.

    Source: axolotl 0.19.0, `_get_peft_task_type` in `loaders/adapter.py`.
    """
    if "SequenceClassification" in inventory.model.cls or _is_set(recipe, "reward_model"):
        return "SEQ_CLS"
    if "TokenClassification" in inventory.model.cls or _is_set(recipe, "process_reward_model"):
        return "TOKEN_CLS"
    return "CAUSAL_LM"


DIALECT = Dialect(Tool.AXOLOTL, "0.19.0", (Syntax.YAML, Syntax.JSON), _recognizes, _read, _hand)
