"""A preset worked out for one model: exact targets, ranks, counts and costs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lorascope.core.errors import INSTALL_TORCH, MissingDependencyError
from lorascope.core.finding import Finding
from lorascope.core.inventory import ModelInfo
from lorascope.core.memory import Memory
from lorascope.core.roles import Role, Tower


@dataclass(frozen=True, slots=True)
class Target:
    """One module or expert parameter that the plan adapts."""

    path: str
    role: Role
    tower: Tower
    layer: int | None
    rank: int
    alpha: float
    params: int
    """LoRA parameters here, all of PEFT's tensors counted."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Why a preset or a number was chosen, or what it means on this model."""

    text: str
    ground: str | None = None
    """How strong the ground is: `paper`, `measured`, `second-hand`, `unverified`, `weak`, `none`;
    None for a plain fact about the model."""
    source: str | None = None
    """Where the ground can be read; None for a plain fact about the model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A preset worked out for one model."""

    model: ModelInfo
    preset: str
    adapter_config: Mapping[str, Any]
    """Exactly what `adapter_config.json` holds: what PEFT takes."""
    targets: tuple[Target, ...]
    saved_modules: tuple[str, ...]
    """Modules trained and saved whole (`modules_to_save`)."""
    trainable_params: int
    """As PEFT's `get_nb_trainable_parameters` gives it."""
    adapter_bytes: int
    """Size of `adapter_model.safetensors` that PEFT writes: header and tensors."""
    covered_params: int
    """Base parameters under an adapter."""
    advice: tuple[Advice, ...] = ()
    findings: tuple[Finding, ...] = ()
    memory: Memory | None = None
    """Of one training step; None until asked."""

    def to_peft(self) -> Any:
        """Return the `peft.LoraConfig` of this plan.

        Raises:
            MissingDependencyError: PEFT is not installed.
        """
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise MissingDependencyError(
                "plan.to_peft() needs PEFT, which is not installed.",
                INSTALL_TORCH,
            ) from error
        # PEFT keeps and extends the lists it is given; the plan's own stay as they are.
        return LoraConfig.from_peft_type(**deepcopy(dict(self.adapter_config)))
