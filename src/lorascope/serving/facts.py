"""What an engine's model classes take of an adapter, as read from the source of one release.

The files are written by `make engine-facts` (`conformance/engine_facts.py`). Names that a class may
have are rather too many than too few, so that what is missing here is missing in the engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

Rename = tuple[Literal["regex", "substr", "prefix", "suffix"], str, str]
NUMBERED = "#"
"""Stands for any number in `ModelClass.takes`: a layer in a list."""
_ENGINES = ("vllm", "sglang")


@dataclass(frozen=True, slots=True)
class ModelClass:
    """One model class of an engine; a field that its engine does not state is empty."""

    name: str
    lora: bool = True
    """Whether it takes adapters at all."""
    takes: frozenset[str] | None = None
    """Last names that an adapter's tensors may have; None if only a config decides."""
    embeddings: frozenset[str] = frozenset()
    """Embeddings and output layers among them."""
    packed: Mapping[str, tuple[str, ...]] | None = None
    """Layer of the engine → the adapter's names that it joins."""
    renames: tuple[Rename, ...] | None = ()
    """How names of the adapter become the engine's; None if only a run shows it."""
    skips: tuple[str, ...] = ()
    """Starts of names that are passed over."""
    experts: Literal["2d", "3d"] | None = None
    """How it wants LoRA on routed experts: a pair for each, or one stacked; None without them."""
    around_experts: frozenset[str] = frozenset()
    """Names of the modules that hold the experts; empty if not known."""
    towers: bool | None = None
    """Whether an option makes it adapt towers and connectors; None if it is not multimodal."""
    has_parts: bool = False
    """Whether it tells its language model from its towers, so that only the first is adapted."""
    sizes: frozenset[str] | None = frozenset()
    """Names whose sizes it states itself; None if it states all."""
    also: frozenset[str] = frozenset()
    """Names that it declares beside the engine's own."""

    def renamed(self, name: str) -> str | None:
        """Return the engine's name of an adapter's tensor; None if only a run shows it."""
        if self.renames is None:
            return None
        for kind, old, new in self.renames:
            match kind:
                case "regex":
                    name = re.sub(old, new, name)
                case "substr":
                    name = name.replace(old, new, 1)
                case "prefix" if name.startswith(old):
                    name = name.replace(old, new, 1)
                case "suffix" if name.endswith(old):
                    name = new.join(name.rsplit(old, 1))
        return name


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read of one engine."""

    version: str
    archive: str
    """The file that was read."""
    classes: Mapping[str, ModelClass]
    """By the name of the architecture that a config states."""
    suffixes: tuple[str, ...]
    """Ends of architectures that stand for each other, such as `ForCausalLM`."""
    stated: Mapping[str, Any]
    """Everything that is about no class, as it stands in the file."""

    def class_of(self, architecture: str) -> ModelClass | None:
        """Return the class that serves an architecture; None if the engine has none of its own."""
        if architecture in self.classes:
            return self.classes[architecture]
        for suffix in self.suffixes:
            if architecture.endswith(suffix):
                stem = architecture.removesuffix(suffix)
                found = (self.classes.get(f"{stem}{other}") for other in self.suffixes)
                return next((each for each in found if each is not None), None)
        return None


@cache
def facts_of(engine: str) -> Facts | None:
    """Return what is known of an engine's classes; None if none of its source was read."""
    if engine not in _ENGINES:
        return None
    from importlib.resources import files  # only where an engine is asked for

    text = files("lorascope.serving").joinpath(f"{engine}.json").read_text(encoding="utf-8")
    return read_facts(text)


def read_facts(text: str) -> Facts:
    """Read what `vllm.json` or `sglang.json` holds.

    Raises:
        ValueError: A class has a key that is not in the schema.
    """
    data = json.loads(text)
    classes = {name: _class(name, row) for name, row in data.pop("classes").items()}
    architectures = data.pop("architectures")
    return Facts(
        version=data.pop("version"),
        archive=data.pop("archive"),
        classes={name: classes[cls] for name, cls in architectures.items()},
        suffixes=tuple(data.pop("suffixes", ())),
        stated=data,
    )


_KEYS = frozenset(
    {"lora", "takes", "embeddings", "packed", "renames", "skips", "experts", "around_experts"}
    | {"towers", "parts", "sizes", "also", "linears", "only"}
)


def _class(name: str, row: Mapping[str, Any]) -> ModelClass:
    unknown = row.keys() - _KEYS
    if unknown:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    renames = row.get("renames", ())
    return ModelClass(
        name=name,
        lora=row.get("lora", True),
        takes=_names(row.get("takes")),
        embeddings=frozenset(row.get("embeddings", ())),
        packed={key: tuple(parts) for key, parts in row.get("packed", {}).items()},
        renames=None if renames is None else tuple((k, old, new) for k, old, new in renames),
        skips=tuple(row.get("skips", ())),
        experts=row.get("experts") if isinstance(row.get("experts"), str) else None,
        around_experts=frozenset(row.get("around_experts", ())),
        towers=row.get("towers"),
        has_parts=bool(row.get("parts")),
        sizes=_names(row.get("sizes", ())),
        also=frozenset(row.get("also", ())),
    )


def _names(given: Iterable[str] | None) -> frozenset[str] | None:
    return None if given is None else frozenset(given)
