"""The tools that a configuration can be written for, and which file tells of each."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from lorascope.core.errors import ExportError
from lorascope.core.export import Trainer
from lorascope.exporting.exporter import Exporter

EXPORTERS: Mapping[Trainer, str] = {
    Trainer.PEFT: "peft",
    Trainer.TRL: "trl",
    Trainer.AXOLOTL: "axolotl",
    Trainer.LLAMAFACTORY: "llamafactory",
    Trainer.MS_SWIFT: "ms_swift",
    Trainer.UNSLOTH: "unsloth",
    Trainer.TORCHTUNE: "torchtune",
    Trainer.MLX_LM: "mlx_lm",
    Trainer.LITGPT: "litgpt",
    Trainer.VERL: "verl",
    Trainer.MEGATRON_BRIDGE: "megatron_bridge",
    Trainer.NEMO_AUTOMODEL: "nemo_automodel",
}
"""Module of this package; its `EXPORTER` is read when first asked for."""


def exporter_of(to: Trainer) -> Exporter:
    """Return what is told of one tool.

    Raises:
        ExportError: Nothing can be written for it yet.
    """
    name = f"{__package__}.{EXPORTERS[to]}"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ExportError(f"Nothing can be written for {to.own_name} yet.") from None
    exporter: Exporter = module.EXPORTER
    return exporter
