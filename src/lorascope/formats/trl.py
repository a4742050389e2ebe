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
from lorascope.formats.dialect import Dialect
from lorascope.formats.node import Node, Syntax
from lorascope.formats.tool_keys import (
    FLAG,
    INTEGER,
    NAME,
    NAMES,
    NAMES_OR_PATTERN,
    NUMBER,
    Key,
    is_command,
    key_spots,
    read_keys,
    text_of,
    unknown_keys,
)

KEYS = (
    Key("lora_r", INTEGER, "r"),
    Key("lora_alpha", INTEGER, "lora_alpha"),
    Key("lora_dropout", NUMBER, "lora_dropout"),
    Key("lora_target_modules", NAMES_OR_PATTERN, "target_modules"),
    Key("lora_target_parameters", NAMES, "target_parameters"),
    Key("lora_modules_to_save", NAMES, "modules_to_save"),
    Key("lora_task_type", NAME, "task_type"),
    Key("use_rslora", FLAG, "use_rslora"),
    Key("use_dora", FLAG, "use_dora"),
    Key("use_peft", FLAG),
    Key("load_in_8bit", FLAG),
    Key("load_in_4bit", FLAG),
    Key("bnb_4bit_quant_type", NAME),
    Key("use_bnb_nested_quant", FLAG),
    Key("chat_template_path", NAME),
    Key("config", NAME),
)
_LORA_KEYS = (*(key.name for key in KEYS if key.field), "use_peft")
_OTHER_KEYS = (*(key.name for key in KEYS if not key.field), "optim_target_modules")
"""Keys that TRL has and that look like one of the LoRA part, or are read above."""
_MEANT = {
    "lora_rank": "lora_r",
    "peft_lora_r": "lora_r",
    "peft_lora_alpha": "lora_alpha",
    "peft_lora_dropout": "lora_dropout",
    "lora_target": "lora_target_modules",
    "target_modules": "lora_target_modules",
    "target_parameters": "lora_target_parameters",
    "modules_to_save": "lora_modules_to_save",
    "use_lora": "use_peft",
}
"""Keys of other tools, and of TRL's early examples, for the same."""

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
        return is_command(node) and str(node.fields[""].value).startswith("trl ")
    keys = node.fields.keys()
    if keys & _OTHER_TOOLS:
        return False
    return "use_peft" in keys or ("model_name_or_path" in keys and bool(keys & set(_LORA_KEYS)))


def _read(node: Node, origin: str) -> Recipe:
    reading = read_keys(node, KEYS, origin)
    _check_lora(node, reading.options, origin, has_lora=bool(node.fields.keys() & set(_LORA_KEYS)))
    unknown = unknown_keys(node, _LORA_KEYS, _OTHER_KEYS, meant=_MEANT)
    revision = text_of(node, "model_revision")
    return Recipe(
        Tool.TRL,
        origin,
        reading.stated,
        # argparse takes a beginning that is unambiguous, and early examples say --model_name.
        base_model=text_of(node, "model_name_or_path", "model_name"),
        revision=None if revision == "main" else revision,
        key_of=reading.key_of,
        spots=reading.spots | key_spots(node, unknown),
        options=reading.options,
        unknown=unknown,
    )


def _check_lora(node: Node, options: dict[str, Any], origin: str, *, has_lora: bool) -> None:
    """Say whether `use_peft` is on, without which TRL takes no notice of the other keys.

    Raises:
        NoLoraError: It is off and nothing else speaks of LoRA, or it is turned off.
    """
    if options.get("use_peft") or (has_lora and "use_peft" not in options):
        if "config" not in options:
            options.setdefault("use_peft", False)
        return
    said = "--use_peft" if is_command(node) else "use_peft"
    what = "is off" if "use_peft" in options else "is missing"
    config = options.get("config")
    raise NoLoraError(
        f"{origin}, line {node.spot.line}: {said} {what}, so that TRL trains the whole model; "
        "expected a training with LoRA.",
        f"Its settings may stand in {config}: check that file." if config else f"Add {said}.",
    )


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
