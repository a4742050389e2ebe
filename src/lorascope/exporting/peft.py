"""PEFT's `adapter_config.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Form, Trainer
from lorascope.core.recipe import Tool
from lorascope.exporting.exporter import Draft, Exporter, Merged, Outcome, ReadBase
from lorascope.exporting.reading_back import read_back
from lorascope.exporting.saying import plain
from lorascope.exporting.told import Told, merged
from lorascope.exporting.ways import ways
from lorascope.formats.peft import DIALECT, FIELDS
from lorascope.matching.configured import Configured

_FILE = "adapter_config.json"


def _drafts(wanted: Configured) -> Iterator[Draft]:
    for way in ways(wanted):
        yield Draft(plain(_complete(way, wanted)))


def _complete(fields: Mapping[str, Any], wanted: Configured) -> dict[str, Any]:
    """Return all that an adapter's file states, as `lorascope plan -o` writes it."""
    spec = wanted.spec
    return {
        "peft_type": "LORA",
        "task_type": spec.task_type or wanted.inventory.model.task_type,
        "base_model_name_or_path": wanted.base_model,
        "revision": wanted.revision,
        "inference_mode": False,
        "bias": spec.bias,
        "modules_to_save": spec.modules_to_save,
        "fan_in_fan_out": spec.fan_in_fan_out,
        "init_lora_weights": spec.init_lora_weights,
        "use_dora": spec.use_dora,
        "lora_bias": spec.lora_bias,
        **fields,
    }


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(dict(document), indent=2, sort_keys=True) + "\n"


def _write(draft: Draft, _: Configured) -> str:
    return _text(draft.document)


def _adapts(draft: Draft, wanted: Configured) -> Outcome:
    return read_back(_text(draft.document), _FILE, Tool.PEFT, wanted)


_TOLD = Told(
    to=Trainer.PEFT,
    version=DIALECT.version,
    file_name=_FILE,
    drafts=_drafts,
    context={
        "base_model_name_or_path": None,
        "revision": None,
        "inference_mode": frozenset({True, False}),
    },
    owned=frozenset(FIELDS) - {"fan_in_fan_out"},
    model_key="base_model_name_or_path",
)


def _merge(draft: Draft, wanted: Configured, text: str, origin: str, read_base: ReadBase) -> Merged:
    return merged(_TOLD, draft, wanted, text, origin, read_base)


EXPORTER = Exporter(
    to=_TOLD.to,
    version=_TOLD.version,
    form=Form.JSON,
    file_name=_FILE,
    drafts=_drafts,
    adapts=_adapts,
    write=_write,
    merge=_merge,
    has_heads=True,
)
