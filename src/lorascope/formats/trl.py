"""TRL: `trl sft --use_peft …`, and the YAML file of its `--config`.

Source: trl 1.16.0, `ModelConfig` in `trl/trainer/model_config.py`, `get_peft_config` in
`trl/trainer/utils.py`, `TrlParser` in `trl/scripts/utils.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats import forms
from lorascope.formats.dialect import Dialect
from lorascope.formats.keys import Key, read_keys, text_of
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax

KEYS = (
    Key("lora_r", forms.WHOLE, "r"),
    Key("lora_alpha", forms.WHOLE, "lora_alpha"),
    Key("lora_dropout", forms.NUMBER, "lora_dropout"),
    Key("lora_target_modules", forms.NAMES_OR_TEXT, "target_modules"),
    Key("lora_target_parameters", forms.NAME_OR_NAMES, "target_parameters"),
    Key("lora_modules_to_save", forms.NAME_OR_NAMES, "modules_to_save"),
    Key("lora_task_type", forms.TEXT, "task_type"),
    Key("use_rslora", forms.FLAG, "use_rslora"),
    Key("use_dora", forms.FLAG, "use_dora"),
)
_USE_PEFT = Key("use_peft", forms.FLAG)
OPTIONS = (
    _USE_PEFT,
    Key("load_in_8bit", forms.FLAG),
    Key("load_in_4bit", forms.FLAG),
    Key("bnb_4bit_quant_type", forms.TEXT),
    Key("use_bnb_nested_quant", forms.FLAG),
    Key("chat_template_path", forms.TEXT),
    Key("config", forms.TEXT),
)
_LORA_KEYS = frozenset(key.name for key in KEYS)
_OTHERS = (*(key.name for key in OPTIONS), "alpha", "optim_target_modules")
"""Keys that TRL has and that look like one of the LoRA part, or are read above."""

_DEFAULTS: Mapping[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "bias": "none",
    "task_type": "CAUSAL_LM",
    "use_rslora": False,
    "use_dora": False,
    "target_modules": None,
    "modules_to_save": None,
}

_OTHER_TOOLS = frozenset({"finetuning_type", "base_model", "tuner_type", "train_type"})


def _recognizes(node: Node, syntax: Syntax) -> bool:
    if syntax is Syntax.SHELL:
        return node.is_command and str(node.fields[""].value).startswith("trl ")
    keys = node.fields.keys()
    if keys & _OTHER_TOOLS:
        return False
    return "use_peft" in keys or ("model_name_or_path" in keys and not _LORA_KEYS.isdisjoint(keys))


def _read(node: Node, origin: str) -> Recipe:
    reading = read_keys(node, (*KEYS, *OPTIONS), origin)
    _check_lora(node, reading.options, origin)
    unknown = unknown_keys(node, (*KEYS, _USE_PEFT), _OTHERS, meant={"use_lora": "use_peft"})
    reading.add_unknown(node, unknown)
    revision = text_of(node, "model_revision", where=origin)
    return reading.recipe(
        Tool.TRL,
        origin,
        # argparse takes a beginning that is unambiguous, and early examples say --model_name.
        text_of(node, "model_name_or_path", "model_name", where=origin),
        None if revision == "main" else revision,
    )


def _check_lora(node: Node, options: dict[str, Any], origin: str) -> None:
    """Say whether `use_peft` is on, without which TRL takes no notice of the other keys.

    Raises:
        NoLoraError: It is off, and nothing else speaks of LoRA.
    """
    has_lora = not _LORA_KEYS.isdisjoint(node.fields)
    if options.get("use_peft") or has_lora:
        if "config" not in options and not _is_of_another(node):
            options.setdefault("use_peft", False)
        return
    said = "--use_peft" if node.is_command else "use_peft"
    what = "is off" if "use_peft" in options else "is missing"
    config = options.get("config")
    raise NoLoraError(
        f"{origin}, line {node.spot.line}: {said} {what}, so that TRL trains the whole model; "
        "expected a training with LoRA.",
        f"Its settings may stand in {config}: check that file." if config else f"Add {said}.",
    )


def _is_of_another(node: Node) -> bool:
    """Whether it calls a script that is not TRL's own, which may need no switch for LoRA."""
    return node.is_command and str(node.fields[""].value).endswith(".py")


def _hand(recipe: Recipe, _: Inventory) -> Mapping[str, Any]:
    """Return what TRL hands to PEFT: a list of one target becomes that text.

    Source: trl 1.16.0, `ModelConfig.__post_init__`.
    """
    handed = {**_DEFAULTS, **recipe.stated}
    targets = handed["target_modules"]
    if targets is not None and len(targets) == 1:
        handed["target_modules"] = targets[0]
    return handed


DIALECT = Dialect(
    Tool.TRL,
    "1.16.0",
    (Syntax.SHELL, Syntax.YAML),
    _recognizes,
    _read,
    _hand,
)
