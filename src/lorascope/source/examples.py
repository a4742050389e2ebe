"""Built-in examples: published models as compact config facts, for a try without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """One published model. `examples/<name>.json` holds exactly these fields."""

    name: str
    """What the user types, in any case: `Llama-3.1-8B`."""
    hub_id: str
    """Where it is published: `meta-llama/Llama-3.1-8B`."""
    about: str
    """What is particular about its structure, in a few words."""
    source: str
    """Where the config's figures are published."""
    parameters: int
    """Parameters of the class that `architectures` names, each tensor once, as transformers
    builds it (so without what it leaves out of the checkpoint: prediction layers)."""
    config: Mapping[str, Any]
    """The published config, without what does not shape the model."""


def list_examples() -> tuple[Example, ...]:
    """Return all built-in examples, sorted by name without case."""
    return tuple(_read(stem) for stem in _stems().values())


def find_example(name: str) -> Example | None:
    """Return the example called `name` in any case, or None."""
    stem = _stems().get(name.casefold())
    return None if stem is None else _read(stem)


def example_of_hub_id(hub_id: str) -> Example | None:
    """Return the example that is published under `hub_id`, or None."""
    wanted = hub_id.casefold()
    return next((each for each in list_examples() if each.hub_id.casefold() == wanted), None)


def nearest_names(name: str, more: frozenset[str] = frozenset(), count: int = 4) -> list[str]:
    """Return the examples' names, and of `more`, that are spelled most like `name`."""
    import difflib

    by_folded = {each.casefold(): each for each in (*sorted(more), *_stems().values())}
    folded = name.casefold()[:100]
    begun = [each for each in by_folded if folded and each.startswith(folded)]
    close = difflib.get_close_matches(folded, list(by_folded), n=count, cutoff=0.6)
    return [by_folded[each] for each in dict.fromkeys((*begun[:2], *close))][:count]


@cache
def _stems() -> Mapping[str, str]:
    """Case-folded name → file stem; the stem is the name."""
    stems = sorted((path.stem for path in _FOLDER.glob("*.json")), key=str.casefold)
    return {stem.casefold(): stem for stem in stems}


@cache
def _read(stem: str) -> Example:
    return Example(**json.loads((_FOLDER / f"{stem}.json").read_text("utf-8")))
