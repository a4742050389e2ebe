"""Plans of built-in examples, worked out once for all tests of this folder."""

from functools import cache
from typing import Any

import lorascope
from lorascope.api.configured import configured
from lorascope.core.export import Exported, Trainer
from lorascope.core.inventory import Inventory
from lorascope.exporting.export import export
from lorascope.matching.configured import Configured

LLAMA, PHI, MIXTRAL = "Llama-3.1-8B", "Phi-3-mini", "Mixtral-8x7B"
VISION, GPT2 = "Qwen2.5-VL-7B", "GPT-2"


@cache
def inventory(name: str) -> Inventory:
    return lorascope.inspect(name)


def wanted(name: str, preset: str = "qv", more: Any = None, **options: Any) -> Configured:
    """Return a plan without dropout, with further fields of PEFT's."""
    model = inventory(name)
    plan = lorascope.plan(model, preset=preset, **{"rank": 8, "dropout": 0.0, **options})
    return configured({**plan.adapter_config, **(more or {})}, model)


def exported(
    to: Trainer, name: str, preset: str = "qv", more: Any = None, **options: Any
) -> Exported:
    return export(wanted(name, preset, more, **options), to)


def lost(found: Exported) -> list[tuple[str, int]]:
    """Return what each loss is about, and how many modules it concerns."""
    return [(loss.what, len(loss.paths)) for loss in found.losses]
