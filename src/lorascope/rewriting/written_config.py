"""The configuration of a rewritten adapter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lorascope.checking.stored_fit import PREFIX
from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import Inventory
from lorascope.core.spec import LoraSpec
from lorascope.matching import match
from lorascope.matching.minimal_suffixes import minimal_suffixes
from lorascope.matching.names import visited_modules
from lorascope.rewriting.pairs import Content, Pair
from lorascope.rewriting.uniform import Uniform

_UNLOADABLE = (
    "PEFT itself cannot load it on this model: it has the names that the engine wants, which are "
    "no modules there."
)
_TAKEN_FOR_OTHERS = (
    "PEFT itself does not load it as it was trained on this model: it has the target_modules that "
    "the engine wants, which PEFT takes for other modules there."
)

_WITHOUT_SELECTION: Mapping[str, None] = {
    "exclude_modules": None,
    "layers_to_transform": None,
    "layers_pattern": None,
}


def written_config(
    stated: Mapping[str, Any],
    content: Content,
    uniform: Uniform,
    model: Inventory,
    without: Mapping[str, object],
) -> tuple[dict[str, Any], str | None]:
    """Return the fields, and a sentence if PEFT would not adapt with them what is written.

    Args:
        stated: The fields of the trained adapter.
        content: What is written.
        uniform: Rank and scale of all.
        model: The model that is served.
        without: Fields that are to be changed because something was dropped.
    """
    config = {
        **stated,
        "peft_type": stated.get("peft_type") or "LORA",
        "r": uniform.rank,
        "lora_alpha": uniform.alpha,
        "use_rslora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        **_WITHOUT_SELECTION,
        "init_lora_weights": True,
        "inference_mode": True,
        "base_model_name_or_path": stated.get("base_model_name_or_path"),
        **without,
    }
    fields = reaching_config(config, content, model)
    if fields is not None:
        return fields, None
    last = sorted({_last(_module(pair)) for pair in content.pairs})
    is_there = all(pair.path in model.by_path for pair in content.pairs)
    note = _TAKEN_FOR_OTHERS if is_there else _UNLOADABLE
    return {**config, "target_modules": last, "target_parameters": None}, note


def reaching_config(
    config: Mapping[str, Any], content: Content, model: Inventory
) -> dict[str, Any] | None:
    """Return fields with which PEFT adapts exactly what is written; None if there are none."""
    wanted = frozenset(pair.adapts or pair.path for pair in content.pairs)
    for modules, parameters in _targets(content, model):
        fields = {
            **config,
            **_WITHOUT_SELECTION,
            "target_modules": list(modules),
            "target_parameters": list(parameters) or None,
        }
        if parameters:
            fields["lora_dropout"] = 0.0  # PEFT refuses any other with parameters
        if _reached(fields, model) == wanted:
            return fields
    return None


def _targets(
    content: Content, model: Inventory
) -> Iterator[tuple[Collection[str], Collection[str]]]:
    """Yield ways to say what is adapted, the shortest first."""
    modules = {pair.path: pair for pair in content.pairs if not pair.is_parameter}
    parameters = [pair.path for pair in content.pairs if pair.is_parameter]
    # Where PEFT turns the names of single experts into parameters, a router's is one of these.
    singles = any(pair.adapts is not None for pair in content.pairs)
    routers = {_last(path.rpartition(".")[0]) for path in parameters} if singles else set()
    last = sorted({_last(path) for path in modules} | routers)
    others = [path for path in visited_modules(model) if path not in modules]
    shortest = sorted({".".join(path.rsplit(".", 2)[-2:]) for path in parameters})
    yield last, [] if singles else shortest
    full = sorted(modules)
    yield sorted(minimal_suffixes(full, others)), shortest
    yield full, shortest
    yield full, parameters


def _reached(fields: Mapping[str, Any], model: Inventory) -> frozenset[str]:
    try:
        found = match(model, LoraSpec.from_dict(fields))
    except SpecificationError:
        return frozenset()
    return frozenset(target.path for target in found.targets)


def _module(pair: Pair) -> str:
    """Return the module whose name its tensors have."""
    return pair.stem.removeprefix(PREFIX).removesuffix(".base_layer")


def _last(path: str) -> str:
    return path.rpartition(".")[2]
