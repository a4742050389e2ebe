"""A LoRA configuration in another tool's words, and what that tool cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Trainer(StrEnum):
    """What a configuration can be written for. The values are the words of `--to`."""

    PEFT = "peft"
    TRL = "trl"
    AXOLOTL = "axolotl"
    LLAMAFACTORY = "llamafactory"
    MS_SWIFT = "ms-swift"
    UNSLOTH = "unsloth"
    TORCHTUNE = "torchtune"
    MLX_LM = "mlx-lm"
    LITGPT = "litgpt"
    VERL = "verl"
    MEGATRON_BRIDGE = "megatron-bridge"
    NEMO_AUTOMODEL = "nemo-automodel"

    @property
    def own_name(self) -> str:
        """Name in a sentence, as the tool writes it."""
        return _OWN_NAMES.get(self.value, self.value)


_OWN_NAMES = {
    "peft": "PEFT",
    "trl": "TRL",
    "axolotl": "Axolotl",
    "llamafactory": "LLaMA-Factory",
    "unsloth": "Unsloth",
    "litgpt": "LitGPT",
    "megatron-bridge": "Megatron Bridge",
    "nemo-automodel": "NeMo AutoModel",
}
"""Where it is not the value itself."""


class Form(StrEnum):
    """How the exported text is written."""

    JSON = "json"
    YAML = "yaml"
    SHELL = "shell"
    PYTHON = "python"


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that is wanted and that the tool would do otherwise."""

    what: str
    """PEFT's field that says it, for example `rank_pattern`; `targets` for which modules."""
    message: str
    """One sentence: what was wanted, and what the tool would do instead."""
    hint: str = ""
    """What to do about it; empty if nothing is known."""
    paths: tuple[str, ...] = ()
    """The modules concerned, in model order."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The LoRA part of one tool's configuration."""

    to: Trainer
    version: str
    """Release of the tool that this was verified against."""
    form: Form
    file_name: str
    """What such a file is usually called."""
    text: str
    """Ends with a line break."""
    losses: tuple[Loss, ...]
    """What it does not say; empty if the tool adapts exactly what is wanted."""
    notes: tuple[str, ...] = ()
    """What else a user has to know or set, one sentence each."""
