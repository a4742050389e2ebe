"""LLaMA-Factory's YAML and JSON files, and `llamafactory-cli train --…`.

Source: llamafactory 0.9.5, `read_args` in `hparams/parser.py`: a command names a file, or options.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Spot, Tool
from lorascope.formats import forms
from lorascope.formats.comma import pieces
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, Reading, names_of, read_keys, text_of
from lorascope.formats.llamafactory_targets import saved_modules, target_modules
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax

KEYS = (
    Key("lora_rank", forms.STRICT_WHOLE, "r"),
    Key("lora_alpha", forms.STRICT_WHOLE, "lora_alpha"),
    Key("lora_dropout", forms.NUMBER, "lora_dropout"),
    Key("lora_target", forms.NAMES_OR_COMMAS, "target_modules"),
    Key("additional_target", forms.NAMES_OR_COMMAS, "modules_to_save"),
    Key("use_rslora", forms.FLAG, "use_rslora"),
    Key("use_dora", forms.FLAG, "use_dora"),
)
"""Of the LoRA part. Source: llamafactory 0.9.5, `LoraArguments` in `hparams/finetuning_args.py`."""

_FREEZING = (
    Key("freeze_vision_tower", forms.ANYTHING),
    Key("freeze_multi_modal_projector", forms.ANYTHING),
    Key("freeze_language_model", forms.ANYTHING),
)
_OTHER_OPTIONS = (
    "stage",
    "finetuning_type",
    "use_llama_pro",
    "freeze_trainable_layers",
    "pissa_init",
    "pissa_iter",
    "adapter_name_or_path",
    "create_new_adapter",
    "resize_vocab",
    "quantization_bit",
    "quantization_method",
    "mixture_of_depths",
    "use_unsloth",
    "use_kt",
    "loraplus_lr_ratio",
)
OPTIONS = (*_FREEZING, *(Key(name, forms.ANYTHING) for name in _OTHER_OPTIONS))

_OTHERS = (
    *_OTHER_OPTIONS,
    "loraplus_lr_embedding",
    "apollo_rank",
    "apollo_target",
    "galore_rank",
    "galore_target",
    "oft_rank",
    "oft_target",
    "ppo_target",
    "optim_target_modules",
)
"""Further keys near to those."""

_METHOD = frozenset({"finetuning_type", "lora_target", "lora_rank", "additional_target"})
_OWN = frozenset({"template", "stage", "cutoff_len", "infer_backend", "export_dir", *_METHOD})
_TRAINING = frozenset({"stage", "do_train", "dataset", *_METHOD})
_ALL = "all"


def _recognizes(root: Node, syntax: Syntax) -> bool:
    keys = root.fields.keys()
    if syntax is Syntax.SHELL:
        return str(root.fields[""].value).startswith("llamafactory-cli ")
    return "finetuning_type" in keys or ("model_name_or_path" in keys and not _OWN.isdisjoint(keys))


def _read(root: Node, origin: str) -> Recipe:
    """Read a file; `lora_target: all` is an option, as it stands for names only on a model."""
    _check_method(root, origin)
    reading = read_keys(root, (*KEYS, *OPTIONS), origin)
    for name in ("target_modules", "modules_to_save"):
        _split(root, reading, name)
    if reading.stated.get("target_modules") == (_ALL,):
        reading.options["lora_target"] = reading.stated.pop("target_modules")[0]
    before = "--" if root.is_command else ""
    names = names_of(KEYS) | {"init_lora_weights": "pissa_init"}
    reading.key_of = {field: f"{before}{name}" for field, name in names.items()}
    reading.add_unknown(root, unknown_keys(root, (*KEYS, *_FREEZING), _OTHERS))
    return reading.recipe(
        Tool.LLAMAFACTORY,
        origin,
        text_of(root, "model_name_or_path", where=origin),
        text_of(root, "model_revision", where=origin),
    )


def _check_method(root: Node, origin: str) -> None:
    node = root.fields.get("finetuning_type")
    if node is not None and node.value not in ("lora", None):
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: finetuning_type is {node.value!r}; expected 'lora'.",
            "Only LoRA configurations are read.",
        )
    config = root.fields.get("config")
    if config is not None:
        raise NoLoraError(
            f"{origin}, line {root.spot.line}: the command names no LoRA option; its settings stand"
            f" in {config.value}.",
            f"Check {config.value}.",
        )
    if _TRAINING.isdisjoint(root.fields):
        raise NoLoraError(
            f"{origin} trains nothing: it has no stage, dataset or LoRA setting.",
            "Name the file that the adapter was trained with, or its adapter_config.json.",
        )


def _split(root: Node, reading: Reading, name: str) -> None:
    """Read text as names with commas between, each with its place."""
    value = reading.stated.get(name)
    if not isinstance(value, str):
        return
    node = root.fields[reading.key_of[name].removeprefix("--")]
    parts = pieces(value)
    reading.stated[name] = tuple(part.text for part in parts)
    first = _first_offset(node)
    for part in parts if first is not None else ():
        at = first + part.start if first is not None else 0
        column = node.spot.column + at - node.spot.start
        spot = Spot(at, at + len(part.text), node.spot.line, column)
        reading.spots.setdefault((name, part.text), spot)


def _first_offset(node: Node) -> int | None:
    """Offset of the text of a scalar; None if it is not written as it is read."""
    quotes = node.spot.end - node.spot.start - len(node.value)
    return node.spot.start + quotes // 2 if quotes in (0, 2) else None


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:
    """Return what LLaMA-Factory gives `LoraConfig`.

    Source: llamafactory 0.9.5, `_setup_lora_tuning` in `model/adapter.py` and `__post_init__` in
    `hparams/finetuning_args.py`.
    """
    stated = recipe.stated
    rank = stated.get("r", 8)
    handed = {
        "r": rank,
        "lora_alpha": stated.get("lora_alpha") or 2 * rank,
        "lora_dropout": stated.get("lora_dropout", 0.0),
        "target_modules": target_modules(recipe, inventory),
        "modules_to_save": saved_modules(recipe, inventory),
        "use_rslora": stated.get("use_rslora", False),
        "use_dora": stated.get("use_dora", False),
        "task_type": "CAUSAL_LM",
    }
    if forms.is_on(recipe.options.get("pissa_init")):
        steps = recipe.options.get("pissa_iter", 16)
        handed["init_lora_weights"] = "pissa" if steps == -1 else f"pissa_niter_{steps}"
    return handed


DIALECT = Dialect(
    Tool.LLAMAFACTORY,
    "0.9.5",
    (Syntax.YAML, Syntax.JSON, Syntax.SHELL),
    _recognizes,
    _read,
    _hand,
)
