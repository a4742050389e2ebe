"""PEFT's own `adapter_config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorascope.core.errors import NoLoraError
from lorascope.core.inventory import Inventory
from lorascope.core.recipe import Recipe, Tool
from lorascope.formats.dialect import Dialect
from lorascope.formats.forms import ANYTHING
from lorascope.formats.keys import Key, read_keys, text_of
from lorascope.formats.near_keys import unknown_keys
from lorascope.formats.node import Node, Syntax

FIELDS = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "init_lora_weights",
    "kasa_config",
    "layer_replication",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_bias",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "modules_to_save",
    "monteclora_config",
    "peft_type",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "target_modules",
    "target_parameters",
    "task_type",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "use_rslora",
    "velora_config",
)
"""Fields of `LoraConfig`. Source: peft 0.21.2, `tuners/lora/config.py` and `config.py`."""

_OTHERS = (
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "peft_version",
    "revision",
    "runtime_config",
)
"""Fields that change nothing of what is adapted."""

_SIGNS = frozenset({"peft_type", "base_model_name_or_path"})
_TARGETS = frozenset({"target_modules", "target_parameters", "lora_alpha", "modules_to_save"})
_OF_PLAN = "adapter_config"
"""Under which the JSON of a plan holds the configuration."""
_OTHER_TOOLS = frozenset({"model_name_or_path", "base_model", "model", "lora_parameters"})


def _recognizes(root: Node, syntax: Syntax) -> bool:
    keys = root.fields.keys()
    if syntax is not Syntax.JSON:
        return False
    return (
        _is_plan(root)
        or not _SIGNS.isdisjoint(keys)
        or (not _TARGETS.isdisjoint(keys) and _OTHER_TOOLS.isdisjoint(keys))
    )


def _is_plan(root: Node) -> bool:
    """Whether it is what `lorascope plan --json` prints."""
    inside = root.fields.get(_OF_PLAN)
    return "schema_version" in root.fields and inside is not None and bool(inside.fields)


def _read(root: Node, origin: str) -> Recipe:
    """Keep every field of PEFT's as it is; what is wrong with one `LoraSpec.from_dict` says."""
    if _is_plan(root):
        root = root.fields[_OF_PLAN]
    _check_type(root, origin)
    keys = [Key(name, ANYTHING, name) for name in FIELDS]
    reading = read_keys(root, keys, origin)
    for name in FIELDS:
        if name in root.fields:
            reading.stated.setdefault(name, None)
    reading.add_unknown(root, unknown_keys(root, keys, _OTHERS))
    return reading.recipe(
        Tool.PEFT,
        origin,
        text_of(root, "base_model_name_or_path", where=origin),
        text_of(root, "revision", where=origin),
    )


def _check_type(root: Node, origin: str) -> None:
    node = root.fields.get("peft_type")
    if node is None or node.value is None:
        return
    if str(node.value).rpartition(".")[2].upper() != "LORA":
        raise NoLoraError(
            f"{origin}, line {node.spot.line}: peft_type is {node.value!r}; expected 'LORA'.",
            "Only LoRA configurations are read.",
        )


def _hand(recipe: Recipe, inventory: Inventory) -> Mapping[str, Any]:  # noqa: ARG001 - a Hand
    return recipe.stated


DIALECT = Dialect(Tool.PEFT, "0.21.2", (Syntax.JSON,), _recognizes, _read, _hand)
