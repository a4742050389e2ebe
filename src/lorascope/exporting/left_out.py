"""Settings of a training file beside its LoRA part that change how LoRA is trained."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lorascope.core.export import Trainer
from lorascope.core.recipe import Tool
from lorascope.formats.forms import is_on
from lorascope.matching.configured import Configured

_BITS_KEYS: Mapping[Tool, Mapping[str, int | None]] = {
    Tool.AXOLOTL: {"load_in_4bit": 4, "load_in_8bit": 8},
    Tool.TRL: {"load_in_4bit": 4, "load_in_8bit": 8},
    Tool.LLAMAFACTORY: {"quantization_bit": None},
    Tool.MS_SWIFT: {"quant_bits": None},
    Tool.TORCHTUNE: {"quantize_base": 4},
}
"""Whose file → key that quantizes the base → to how many bits; None: the key's value."""
_BITS: Mapping[tuple[Trainer, int], str] = {
    (Trainer.AXOLOTL, 4): "adapter: qlora and load_in_4bit: true",
    (Trainer.AXOLOTL, 8): "load_in_8bit: true",
    (Trainer.TRL, 4): "--load_in_4bit",
    (Trainer.TRL, 8): "--load_in_8bit",
    (Trainer.LLAMAFACTORY, 4): "quantization_bit: 4",
    (Trainer.LLAMAFACTORY, 8): "quantization_bit: 8",
    (Trainer.MS_SWIFT, 4): "--quant_bits 4 --quant_method bnb",
    (Trainer.MS_SWIFT, 8): "--quant_bits 8 --quant_method bnb",
    (Trainer.UNSLOTH, 8): "load_in_8bit=True",
    (Trainer.TORCHTUNE, 4): "the builder qlora_* in place of lora_*",
    (Trainer.LITGPT, 4): "quantize: bnb.nf4",
    (Trainer.NEMO_AUTOMODEL, 4): "load_in_4bit: true in the section quantization",
}
"""What loads the base so. Source: the releases that the exporters name."""
_BY_ITSELF = (Trainer.UNSLOTH, 4)
"""Who does so unless told otherwise, which its exporter says."""
_KEY = re.compile(r"[a-z0-9]+_[a-z0-9_]*")
_RATIO_KEYS = {
    Tool.AXOLOTL: "loraplus_lr_ratio",
    Tool.LLAMAFACTORY: "loraplus_lr_ratio",
    Tool.MS_SWIFT: "lorap_lr_ratio",
}
_RATIOS = {
    Trainer.AXOLOTL: "loraplus_lr_ratio: {}",
    Trainer.LLAMAFACTORY: "loraplus_lr_ratio: {}",
    Trainer.MS_SWIFT: "--lorap_lr_ratio {}",
}
"""What sets LoRA+."""


def left_out(wanted: Configured, to: Trainer, into: str = "") -> tuple[str, ...]:
    """Return one sentence for each setting that the exported text does not carry over.

    Args:
        wanted: The configuration.
        to: The tool that it is written for.
        into: Text that it is put into, which may have the setting.
    """
    return tuple(_quantized(wanted, to, into)) + tuple(_plus(wanted, to, into))


def _quantized(wanted: Configured, to: Trainer, into: str) -> Iterator[str]:
    if wanted.tool is None:
        return
    for key, bits in _BITS_KEYS.get(wanted.tool, {}).items():
        value = wanted.options.get(key)
        number = _whole(value) if bits is None else bits if is_on(value) else None
        if number is None or (to, number) == _BY_ITSELF:
            continue
        said = _BITS.get((to, number))
        if said is not None and _has(into, said):
            continue
        where = f"where {to.own_name} loads it" if said is None else f"in {to.own_name}: {said}"
        yield (
            f"{wanted.origin} loads the base model in {number} bits ({key}), which is not written;"
            f" set it yourself {where}."
        )


def _plus(wanted: Configured, to: Trainer, into: str) -> Iterator[str]:
    key = None if wanted.tool is None else _RATIO_KEYS.get(wanted.tool)
    ratio = None if key is None else wanted.options.get(key)
    if ratio is None:
        return
    said = _RATIOS.get(to, "").format(ratio)
    if said and _has(into, said):
        return
    then = (
        f"set it yourself: {said}" if said else f"lorascope knows no key of {to.own_name}'s for it"
    )
    yield f"{wanted.origin} trains with LoRA+ ({key}: {ratio}), which is not written; {then}."


def _has(text: str, said: str) -> bool:
    """Whether a text has a setting already, by its key."""
    return any(key in text for key in _KEY.findall(said)[:1])


def _whole(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None
