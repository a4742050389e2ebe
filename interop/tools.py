"""The tools that are asked, and with which models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lorascope.core.export import Trainer


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    to: Trainer
    models: tuple[str, ...]
    """Names of `models.MODELS`, or built-in examples for tools with a list of their own."""
    driver: str | None
    """Script of `drivers`; None where the tool cannot be asked on a CPU."""
    names: str = ""
    """Whose module names it has (see `names`); empty for those of transformers."""
    note: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its environment."""

    @property
    def name(self) -> str:
        """Of its environment and its file of pinned releases."""
        return self.to.value


_ALL = ("llama", "qwen2", "mistral", "phi3", "mixtral", "qwen2_vl")

TOOLS = (
    Tool(Trainer.PEFT, _ALL, "peft"),
    Tool(Trainer.TRL, _ALL, "trl"),
    Tool(Trainer.AXOLOTL, _ALL, "axolotl"),
    Tool(Trainer.LLAMAFACTORY, _ALL, "llamafactory"),
    Tool(Trainer.MS_SWIFT, _ALL, "ms_swift"),
    Tool(Trainer.TORCHTUNE, ("Llama-3.1-8B", "Mistral-7B"), "torchtune", "torchtune"),
    Tool(Trainer.MLX_LM, ("llama", "qwen2", "mistral", "phi3", "mixtral"), "mlx_lm", "mlx"),
    Tool(
        Trainer.LITGPT,
        ("Llama-3.1-8B", "Phi-3-mini", "Mixtral-8x7B"),
        "litgpt",
        "litgpt",
        "models of its own list, without memory for their weights",
    ),
    Tool(Trainer.VERL, _ALL, "verl"),
    Tool(Trainer.NEMO_AUTOMODEL, _ALL, "nemo_automodel"),
    Tool(
        Trainer.MEGATRON_BRIDGE,
        ("llama",),
        None,
        note="read only: needs Python 3.12 and Transformer Engine",
    ),
    Tool(
        Trainer.UNSLOTH,
        ("llama", "mixtral"),
        None,
        note="read only: refuses to start without a GPU",
    ),
)
