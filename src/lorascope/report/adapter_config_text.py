"""The lines of a configuration that decide what is adapted, as its file will say them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lorascope.report.layout import paragraph
from lorascope.report.lines import Line
from lorascope.report.plain_json import plain_json

_ALWAYS = ("r", "lora_alpha", "lora_dropout", "target_modules")
_IF_SET = (
    "target_parameters",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "bias",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "fan_in_fan_out",
    "init_lora_weights",
    "trainable_token_indices",
    "ensure_weight_tying",
    "layer_replication",
    "task_type",
)
_DEFAULTS: Mapping[str, Any] = {"bias": "none", "init_lora_weights": True}


def adapter_config_text(config: Mapping[str, Any], width: int) -> list[Line]:
    """Lay out the fields that are set, as JSON, one field a line where the width allows."""
    shown = [name for name in _ALWAYS if name in config]
    shown += [name for name in _IF_SET if config.get(name) and not _is_default(config, name)]
    lines: list[Line] = []
    for name in shown:
        value = json.dumps(plain_json(config[name]))
        lines += paragraph(f'"{name}": {value}', width, indent=2, hanging=6)
    return lines


def _is_default(config: Mapping[str, Any], name: str) -> bool:
    return name in _DEFAULTS and config[name] == _DEFAULTS[name]
