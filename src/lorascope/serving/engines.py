"""What serving engines do with an adapter, as `engines.toml` states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cache
from math import sqrt
from typing import Any

from lorascope.core.spec import LoraSpec
from lorascope.matching import MatchedTarget


class Scale(StrEnum):
    """What an engine multiplies the low-rank product by."""

    AS_TRAINED = "as-trained"
    """As PEFT does, with the rank and alpha of each module."""
    ONE_FOR_ALL = "one-for-all"
    """`lora_alpha` and `r` everywhere: alpha / r, or alpha / √r with `use_rslora`."""
    ONE_FOR_ALL_WITHOUT_RSLORA = "one-for-all-without-rslora"
    """alpha / r everywhere, whatever `use_rslora` says."""
    BY_TENSOR_RANK = "by-tensor-rank"
    """`lora_alpha` divided by the rank that the tensors have, whatever `use_rslora` says."""


class Feature(StrEnum):
    """What an engine may not support."""

    DORA = "dora"
    MODULES_TO_SAVE = "modules_to_save"
    BIAS = "bias"
    """Biases of the base model that `bias` trains."""
    LORA_BIAS = "lora_bias"
    TRAINABLE_TOKENS = "trainable_tokens"
    LAYER_REPLICATION = "layer_replication"
    CHANGED_BASE = "changed_base"
    """An `init_lora_weights` that changes the base model's weights as training starts."""
    PATTERNS = "patterns"
    """Targets whose rank is another than the global one; see `scale` for their alphas."""
    REGEX_TARGETS = "regex_targets"
    TIED_HEAD = "tied_head"
    """LoRA on an output layer that shares its weight with the embedding."""
    UNEVEN_LAYERS = "uneven_layers"
    """LoRA on a projection in some layers only."""
    EXPERT_PARAMETERS = "expert_parameters"
    PERCEPTION_TOWER = "perception_tower"
    RANK = "rank"
    """A rank above the limit that the engine was started with."""
    UNKNOWN_NAME = "unknown_name"
    """LoRA on a module that the engine has not, or not as a layer that it adapts."""
    UNSUPPORTED_MODEL = "unsupported_model"
    """An adapter of a model whose class takes none in the engine."""
    UNKNOWN_MODEL = "unknown_model"
    """A model that the engine has no class of its own for, so that names are not judged."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine; the fields are explained in `engines.toml`."""

    name: str
    """As a user gives it; the key of its table."""
    title: str
    version: str
    source: tuple[str, ...]
    scale: Scale
    ranks: tuple[int, ...]
    usual_rank: int
    rank_option: str
    refuses: frozenset[Feature]
    ignores: frozenset[Feature]
    by_field: frozenset[Feature]
    needs: Mapping[Feature, str]
    saves: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]
    older_until: str
    """Last release that scaled by another rule; empty if none is known."""
    older_scale: Scale
    """That rule; the present one if none is known."""

    @property
    def older(self) -> Engine | None:
        """The engine as it scaled before; None if nothing is known of that."""
        if not self.older_until:
            return None
        return replace(
            self, version=f"up to {self.older_until}", scale=self.older_scale, older_until=""
        )

    @property
    def shown(self) -> str:
        """Title and the version that was read."""
        return f"{self.title} {self.version}"

    def scale_of(self, target: MatchedTarget, spec: LoraSpec) -> float:
        """Return what it multiplies the product of a target by."""
        match self.scale:
            case Scale.AS_TRAINED:
                return target.scaling
            case Scale.ONE_FOR_ALL if spec.use_rslora:
                return spec.lora_alpha / sqrt(max(spec.r, 1))
            case Scale.ONE_FOR_ALL | Scale.ONE_FOR_ALL_WITHOUT_RSLORA:
                return spec.lora_alpha / max(spec.r, 1)
            case Scale.BY_TENSOR_RANK:
                return spec.lora_alpha / max(target.rank, 1)


@cache
def engines() -> Mapping[str, Engine]:
    """Return all engines by the name that a user gives.

    Raises:
        ValueError: The data has a key or value that is not in the schema, or lacks one.
    """
    from importlib.resources import files  # like tomllib only where an engine is asked for

    text = files("lorascope.serving").joinpath("engines.toml").read_text(encoding="utf-8")
    return read_engines(text)


def read_engines(text: str) -> Mapping[str, Engine]:
    """Read what `engines.toml` holds; see `engines`."""
    import tomllib

    return {name: _engine(name, row) for name, row in tomllib.loads(text).items()}


def _engine(name: str, row: dict[str, Any]) -> Engine:
    own = {"name", "older_until", "older_scale"}
    known = {field.name for field in fields(Engine)} - own | {"older"}
    if row.keys() != known:
        raise ValueError(f"engines.toml, {name}: keys {sorted(row.keys() ^ known)}")
    ranks = tuple(int(rank) for rank in row["ranks"])
    if list(ranks) != sorted(ranks) or bool(ranks) != bool(row["rank_option"]):
        raise ValueError(f"engines.toml, {name}: ranks {ranks}, option {row['rank_option']!r}")
    return Engine(
        name=name,
        title=str(row["title"]),
        version=str(row["version"]),
        source=tuple(map(str, row["source"])),
        scale=Scale(row["scale"]),
        ranks=ranks,
        usual_rank=int(row["usual_rank"]),
        rank_option=str(row["rank_option"]),
        refuses=frozenset(map(Feature, row["refuses"])),
        ignores=frozenset(map(Feature, row["ignores"])),
        by_field=frozenset(map(Feature, row["by_field"])),
        needs={Feature(feature): str(option) for feature, option in row["needs"].items()},
        saves=frozenset(map(str, row["saves"])),
        names=frozenset(map(str, row["names"])),
        paths=tuple(map(str, row["paths"])),
        older_until=str(row["older"].get("until", "")),
        older_scale=Scale(row["older"].get("scale", row["scale"])),
    )
