"""LLaMA-Factory's YAML and JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Spot, Tool
from lorascope.formats import fields as forms
from lorascope.formats.comma import pieces
from lorascope.formats.dialect import Dialect
from lorascope.formats.fields import Fields, Key, read_fields, read_options, text_of
from lorascope.formats.llamafactory_targets import saved_modules, target_modules
from lorascope.formats.near_keys import near_keys, spots_of_keys
from lorascope.formats.node import Node, Syntax

KEYS = (
    Key("lora_rank", "r", forms.STRICT_WHOLE),
    Key("lora_alpha", "lora_alpha", forms.STRICT_WHOLE),
    Key("lora_dropout", "lora_dropout", forms.REAL),
    Key("lora_target", "target_modules", forms.NAMES_OR_TEXT),
    Key("additional_target", "modules_to_save", forms.NAMES_OR_TEXT),
    Key("use_rslora", "use_rslora", forms.FLAG),
    Key("use_dora", "use_dora", forms.FLAG),
)
"""Of the LoRA part. Source: llamafactory 0.9.5, `LoraArguments` in `hparams/finetuning_args.py`."""

OPTIONS = (
    "stage",
    "finetuning_type",
    "freeze_vision_tower",
    "freeze_multi_modal_projector",
    "freeze_language_model",
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
)

_OTHERS = (
    *OPTIONS,
    "loraplus_lr_ratio",
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

_FREEZING = ("freeze_vision_tower", "freeze_multi_modal_projector", "freeze_language_model")
_METHOD = frozenset({"finetuning_type", "lora_target", "lora_rank", "additional_target"})
_OWN = frozenset({"template", "stage", "cutoff_len", "infer_backend", "export_dir", *_METHOD})
_TRAINING = frozenset({"stage", "do_train", "dataset", *_METHOD})
_ALL = "all"


def _recognizes(root: Node, syntax: Syntax) -> bool:
    keys = root.fields.keys()
    if syntax is Syntax.SHELL:
        return False
    return "finetuning_type" in keys or ("model_name_or_path" in keys and not _OWN.isdisjoint(keys))


def _read(root: Node, origin: str) -> Recipe:
    """Read a file; `lora_target: all` is an option, as it stands for names only on a model."""
    _check_method(root, origin)
    fields = read_fields(root, KEYS, origin)
    options = read_options(root, OPTIONS)
    for name in ("target_modules", "modules_to_save"):
        _split(root, fields, name)
    if fields.stated.get("target_modules") == (_ALL,):
        options["lora_target"] = fields.stated.pop("target_modules")[0]
    key_of = {key.field: key.name for key in KEYS}
    unknown = near_keys(root, key_of, _OTHERS)
    unknown |= _misspelt_freezing(root, unknown)
    return Recipe(
        Tool.LLAMAFACTORY,
        origin,
        fields.stated,
        base_model=text_of(root, "model_name_or_path", origin),
        revision=text_of(root, "model_revision", origin),
        key_of=key_of | {"init_lora_weights": "pissa_init"},
        spots=fields.spots | spots_of_keys(root, unknown),
        options=options,
        unknown=unknown,
    )


def _check_method(root: Node, origin: str) -> None:
    node = root.fields.get("finetuning_type")
    if node is not None and node.value not in ("lora", None):
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: finetuning_type is {node.value!r}; expected 'lora'.",
            "Only LoRA configurations are read.",
        )
    if _TRAINING.isdisjoint(root.fields):
        raise NoLoraError(
            f"{origin} trains nothing: it has no stage, dataset or LoRA setting.",
            "Name the file that the adapter was trained with, or its adapter_config.json.",
        )


def _misspelt_freezing(
    root: Node, known: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Keys near to those that decide which towers are adapted."""
    found = near_keys(root, {name: name for name in _FREEZING}, _OTHERS)
    return {key: meant for key, meant in found.items() if meant and key not in known}


def _split(root: Node, fields: Fields, name: str) -> None:
    """Read text as names with commas between, each with its place."""
    value = fields.stated.get(name)
    if not isinstance(value, str):
        return
    node = root.fields[fields.key_of[name]]
    parts = pieces(value)
    fields.stated[name] = tuple(part.text for part in parts)
    first = _first_offset(node)
    for part in parts if first is not None else ():
        at = first + part.start if first is not None else 0
        column = node.spot.column + at - node.spot.start
        spot = Spot(at, at + len(part.text), node.spot.line, column)
        fields.spots.setdefault((name, part.text), spot)


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


DIALECT = Dialect(Tool.LLAMAFACTORY, "0.9.5", (Syntax.YAML, Syntax.JSON), _recognizes, _read, _hand)
