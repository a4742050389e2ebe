"""ms-swift: `swift sft …`, and the YAML or JSON file that it takes in place of options.

Source: ms-swift 4.6.0, `TunerArguments` in `swift/arguments/tuner_args.py`, `prepare_adapter` in
`swift/pipelines/train/tuner.py`, `parse_yaml_args` in `swift/cli/main.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lorascope.core.errors import NoLoraError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats import forms
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, Reading, read_keys, text_of
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax
from lorascope.formats.swift_targets import (
    ALL_EMBEDDING,
    ALL_LINEAR,
    ALL_NORM,
    embedding_names,
    norm_names,
    swift_targets,
)

KEYS = (
    Key("target_modules", forms.NAME_OR_NAMES, "target_modules"),
    Key("target_regex", forms.TEXT, "target_modules"),
    Key("target_parameters", forms.NAME_OR_NAMES, "target_parameters"),
    Key("modules_to_save", forms.NAME_OR_NAMES, "modules_to_save"),
    Key("lora_rank", forms.WHOLE, "r"),
    Key("lora_alpha", forms.NUMBER, "lora_alpha"),
    Key("lora_dropout", forms.NUMBER, "lora_dropout"),
    Key("lora_bias", forms.TEXT, "bias"),
    Key("use_rslora", forms.FLAG, "use_rslora"),
    Key("use_dora", forms.FLAG, "use_dora"),
    Key("task_type", forms.TEXT, "task_type"),
    Key("init_weights", forms.FLAG_OR_TEXT, "init_lora_weights"),
)
_OF_LORA = (
    Key("freeze_llm", forms.FLAG),
    Key("freeze_vit", forms.FLAG),
    Key("freeze_aligner", forms.FLAG),
    Key("train_type", forms.TEXT),
    Key("tuner_type", forms.TEXT),
)
"""Its own settings of the LoRA part. `train_type` is what 3.x calls `tuner_type`; 4.6.0 refuses
it."""
_OPTIONS = (
    Key("tuner_backend", forms.TEXT),
    Key("use_swift_lora", forms.FLAG),
    Key("model_type", forms.TEXT),
    Key("rlhf_type", forms.TEXT),
    Key("quant_method", forms.TEXT),
    Key("quant_bits", forms.TEXT_OR_NUMBER),
    Key("lorap_lr_ratio", forms.TEXT_OR_NUMBER),
    Key("config", forms.TEXT),
    Key("adapters", forms.ANYTHING),
    Key("resume_from_checkpoint", forms.ANYTHING),
)
_LORA_KEYS = frozenset(key.name for key in (*KEYS, *_OF_LORA)) - {"init_weights"}
"""Keys of the LoRA part alone: Bone and others start by `init_weights`, too."""
_OTHERS = (
    *(key.name for key in _OPTIONS),
    "boft_dropout",
    "freeze_parameters",
    "galore_rank",
    "galore_target_modules",
    "local_rank",
    "lora_dtype",
    "optim_target_modules",
    "trainable_parameters",
    "use_ray",
    "vera_dropout",
    "vera_rank",
)
"""Keys that ms-swift has and that look like one of the LoRA part, or are read above."""
_MEANT = {
    "lora_target_regex": "target_regex",
    "init_lora_weights": "init_weights",
    "sft_type": "tuner_type",
    "freeze_vision_tower": "freeze_vit",
    "freeze_multi_modal_projector": "freeze_aligner",
    "freeze_language_model": "freeze_llm",
}
"""Keys of other tools, and of ms-swift 2.x, for the same."""
_TELLING = _LORA_KEYS - {"task_type", "modules_to_save", "use_dora", "use_rslora"}
"""Keys that, beside `model`, say that a file is for ms-swift."""
_LORA_TUNERS = frozenset({"lora", "longlora", "lora_llm"})

_DEFAULTS: Mapping[str, Any] = {
    "r": 8,
    "lora_alpha": 32.0,
    "lora_dropout": 0.05,
    "bias": "none",
    "use_rslora": False,
    "use_dora": False,
}
_OTHER_TOOLS = frozenset(
    {"base_model", "finetuning_type", "lora_parameters", "model_name_or_path", "use_peft"}
)
_INITS = {"true": True, "false": False, "lora-ga": "lora_ga"}
_TASK_TYPES = {
    "EMBEDDING": None,
    "RERANKER": "SEQ_CLS",
    "GENERATIVE_RERANKER": "CAUSAL_LM",
    "DECISION": "CAUSAL_LM",
}


def _recognizes(node: Node, syntax: Syntax) -> bool:
    if syntax is Syntax.SHELL:
        return node.is_command and str(node.fields[""].value).startswith("swift ")
    keys = node.fields.keys()
    model = node.fields.get("model")
    if model is None or not isinstance(model.value, str) or keys & _OTHER_TOOLS:
        return False
    return bool(keys & _TELLING)


def _read(node: Node, origin: str) -> Recipe:
    reading = read_keys(node, (*KEYS, *_OF_LORA, *_OPTIONS), origin)
    _check_tuner(node, reading.options, origin)
    _take_text_apart(node, reading)
    unknown = unknown_keys(node, (*KEYS, *_OF_LORA), _OTHERS, meant=_MEANT)
    reading.add_unknown(node, unknown)
    return reading.recipe(
        Tool.MS_SWIFT,
        origin,
        text_of(node, "model", where=origin),
        text_of(node, "model_revision", where=origin),
    )


def _check_tuner(node: Node, options: Mapping[str, Any], origin: str) -> None:
    """Make sure that LoRA is what is trained.

    Raises:
        NoLoraError: It is not, or all settings stand in another file.
    """
    tuner = options.get("tuner_type", options.get("train_type", "lora"))
    if tuner not in _LORA_TUNERS:
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: tuner_type is {tuner!r}; expected 'lora'.",
            "Nothing of it is LoRA.",
        )
    config = options.get("config")
    if config is not None and _LORA_KEYS.isdisjoint(node.fields):
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: the command names no LoRA option; its settings "
            f"stand in {config}.",
            f"Check {config}.",
        )


def _take_text_apart(node: Node, reading: Reading) -> None:
    """Put three of PEFT's fields into its own words.

    `--target_regex` wins over the targets, which are then the tool's own option that it ignores.
    LoRA-GA is a package's of its own, which starts the weights in PEFT's place.
    """
    regex = node.fields.get("target_regex")
    if regex is not None and regex.value and "target_modules" in node.fields:
        reading.options["target_modules"] = node.fields["target_modules"].value
    if "task_type" in reading.stated:
        reading.stated["task_type"] = reading.stated["task_type"].upper()
    init = reading.stated.get("init_lora_weights")
    if isinstance(init, str):
        reading.stated["init_lora_weights"] = _INITS.get(init.lower(), init)


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return what ms-swift hands to PEFT, `all-linear` and the like replaced by names."""
    handed = {**_DEFAULTS, **recipe.stated}
    targets = handed.get("target_modules", (ALL_LINEAR,))
    if recipe.options.get("tuner_type") == "lora_llm":
        handed["target_modules"] = swift_targets([ALL_LINEAR], inventory, {})
    elif not isinstance(targets, str):
        handed["target_modules"] = swift_targets(targets, inventory, recipe.options)
    handed["modules_to_save"] = _to_save(handed.get("modules_to_save", ()), inventory)
    task = handed.get("task_type") or inventory.model.task_type
    handed["task_type"] = _TASK_TYPES.get(task, task) if task else None
    return handed


def _to_save(names: Sequence[str], inventory: Inventory) -> list[str] | None:
    """Replace the words for all embeddings and norms by names; the order is ms-swift's."""
    out = [name for name in names if name not in (ALL_EMBEDDING, ALL_NORM)]
    out += embedding_names(inventory) if ALL_EMBEDDING in names else []
    out += norm_names(inventory) if ALL_NORM in names else []
    return out or None


DIALECT = Dialect(
    Tool.MS_SWIFT,
    "4.6.0",
    (Syntax.SHELL, Syntax.YAML, Syntax.JSON),
    _recognizes,
    _read,
    _hand,
)
