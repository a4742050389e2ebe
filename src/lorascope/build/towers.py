"""Which part of a composite model a module belongs to, asked of the config's structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lorascope.build.walk import named_base_modules
from lorascope.core.roles import Tower

if TYPE_CHECKING:
    from torch import nn

    from lorascope.core.inventory import Module

SUB_CONFIG_TOWERS: dict[str, Tower] = {
    "audio_config": Tower.AUDIO,
    "audio_encoder_config": Tower.AUDIO,
    "encoder_config": Tower.ENCODER,
    "decoder_config": Tower.DECODER,
    "language_config": Tower.TEXT,
    "llm_config": Tower.TEXT,
    "speech_config": Tower.AUDIO,
    "text_config": Tower.TEXT,
    "vision_config": Tower.VISION,
    "vision_tower_config": Tower.VISION,
}
"""What transformers' composite configs call their parts → tower.

Source: `sub_configs` of the configuration classes of transformers 5.23.0.
"""


def with_config_towers(model: nn.Module, modules: tuple[Module, ...]) -> tuple[Module, ...]:
    """Set the tower of every module below one whose `config` is a named sub-config.

    A tower of a composite model is built from its own sub-config object, so that identity tells
    which part a module belongs to, whatever it is called.
    """
    roots = _tower_roots(model)
    if not roots:
        return modules
    return tuple(
        module if (tower := _tower_of(module.path, roots)) is None else replace(module, tower=tower)
        for module in modules
    )


def _tower_roots(model: nn.Module) -> dict[str, Tower]:
    config = getattr(model, "config", None)
    towers = {
        id(getattr(config, name)): tower
        for name, tower in SUB_CONFIG_TOWERS.items()
        if getattr(config, name, None) is not None
    }
    roots: dict[str, Tower] = {}
    for path, module in named_base_modules(model):
        tower = towers.get(id(getattr(module, "config", None)))
        if path and tower is not None and hasattr(module, "get_input_embeddings"):
            roots[path] = tower
    return roots


def _tower_of(path: str, roots: dict[str, Tower]) -> Tower | None:
    while path:
        if path in roots:
            return roots[path]
        path = path.rpartition(".")[0]
    return None
