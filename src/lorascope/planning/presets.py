"""The presets as data: named choices of roles and ranks, independent of any model's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lorascope.planning.words import LINEAR


@dataclass(frozen=True, slots=True)
class Share:
    """Roles that get one rank."""

    words: tuple[str, ...]
    """Words of `lorascope.planning.words`, or roles."""
    weight: int = 1
    """Rank in units of the plan."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named choice of roles and ranks."""

    name: str
    summary: str
    """What it adapts, in one line."""
    shares: tuple[Share, ...]
    """The first share that names a module decides its rank. The first is the main one."""
    rank: int = 8
    """Default rank of the main share."""
    needs: tuple[str, ...] = ()
    """Words that must name something in the model; without them there is no such plan."""
    experts: bool = False
    """Whether routed experts are adapted unless asked otherwise."""

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in order."""
        return tuple(word for share in self.shares for word in share.words)


DEFAULT_PRESET = "qv"
DROPOUT = 0.05
ALPHA_PER_RANK = 2

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("qv", "attention q and v", (Share(("q", "v")),), needs=("q", "v")),
        Preset("attention", "attention q, k, v, o", (Share(("q", "k", "v", "o")),)),
        Preset(
            "extended",
            "attention q and v; feed-forward gate, up, down at half their rank",
            (Share(("q", "v"), weight=2), Share(("gate", "up", "down"))),
            needs=("q", "v"),
        ),
        Preset("ffn", "feed-forward gate, up, down", (Share(("gate", "up", "down")),)),
        Preset(
            "vod",
            "attention v and o, feed-forward down",
            (Share(("v", "o", "down")),),
            needs=("v",),
        ),
        Preset(
            "all-linear",
            "every linear of the blocks, experts included; no routers, no heads",
            (Share((LINEAR,)),),
            experts=True,
        ),
    )
}
"""Presets by name, in the order in which they are shown."""
