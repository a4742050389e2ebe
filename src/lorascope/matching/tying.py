"""`ensure_weight_tying`: how PEFT adapts an embedding and what shares its weight as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lorascope.core.errors import SpecificationError
from lorascope.core.inventory import ModelInfo
from lorascope.core.spec import LoraSpec
from lorascope.matching.bounded_regex import BoundedRegex, Pattern
from lorascope.matching.selection import saved_names

EMBEDDING_NAMES = frozenset({"embed_tokens", "lm_head"})
"""What PEFT takes for an embedding by the last part of a name.

Source: peft 0.21.2, `EMBEDDING_LAYER_NAMES` in `utils/constants.py`.
"""


@dataclass(frozen=True, slots=True)
class Tying:
    """What PEFT makes of a configuration once it has looked for tied weights."""

    spec: LoraSpec
    saved: tuple[str, ...] = ()
    """Modules whose saved copy shares the embedding's."""
    targets: tuple[str, ...] = ()
    """Modules that get their LoRA factors from the embedding's."""
    warnings: tuple[str, ...] = ()


def tied_targets(spec: LoraSpec, model: ModelInfo, regex: BoundedRegex) -> Tying:
    """Apply PEFT's check of tied modules.

    Source: peft 0.21.2, `_check_tied_modules` in `tuners/tuners_utils.py`, and
    `_add_modules_to_save_to_tie` and `_add_targets_to_tie` in `tuners/lora/model.py`.
    """
    saves = _names_embedding(spec.modules_to_save or ())
    targets = _targets_embedding(spec, regex)
    tied = model.tied_to_embedding
    if not spec.ensure_weight_tying:
        if tied and (saves or targets):
            return Tying(spec, warnings=(_NOT_TIED,))
        return Tying(spec)
    if not tied:
        return Tying(spec, warnings=(_NOTHING_TIED,))
    if saves:
        return _tie_saved(spec, model, regex)
    if targets:
        return _tie_targets(spec, model, regex)
    return Tying(spec, warnings=(_TIED_NOT_NAMED,))


_NOT_TIED = (
    "The model's embedding is tied and a tied layer is part of the adapter, but "
    "ensure_weight_tying is not set; merging or converting the adapter can go wrong."
)
_NOTHING_TIED = "ensure_weight_tying is set, but no tied modules were found in the model."
_TIED_NOT_NAMED = (
    "ensure_weight_tying is set, but neither modules_to_save nor target_modules names a tied "
    "module."
)


def _names_embedding(entries: Iterable[str]) -> bool:
    return any(entry.rpartition(".")[2] in EMBEDDING_NAMES for entry in entries)


def _targets_embedding(spec: LoraSpec, regex: BoundedRegex) -> bool:
    if isinstance(spec.target_modules, str):
        pattern = Pattern(spec.target_modules, "target_modules")
        return bool(regex.matching(pattern, sorted(EMBEDDING_NAMES), whole=True))
    return _names_embedding(spec.target_modules or ())


def _tie_saved(spec: LoraSpec, model: ModelInfo, regex: BoundedRegex) -> Tying:
    entries = list(spec.modules_to_save or ())
    if _embedding(model) not in entries:
        entries.append(_embedding(model))
    kept = _without_tied(entries, model.tied_to_embedding, regex)
    return Tying(replace(spec, modules_to_save=kept), saved=model.tied_to_embedding)


def _tie_targets(spec: LoraSpec, model: ModelInfo, regex: BoundedRegex) -> Tying:
    tied = model.tied_to_embedding
    if isinstance(spec.target_modules, str):
        both = rf"(?:{spec.target_modules}|^{re.escape(_embedding(model))}$)"
        return Tying(replace(spec, target_modules=both), targets=tied)
    entries = list(dict.fromkeys([*(spec.target_modules or ()), _embedding(model)]))
    kept = _without_tied(entries, tied, regex)
    return Tying(replace(spec, target_modules=kept), targets=tied)


def _without_tied(entries: list[str], tied: Iterable[str], regex: BoundedRegex) -> tuple[str, ...]:
    """Take out, for each tied module, the first entry that names it or something above it."""
    kept = list(entries)
    for path in tied:
        for entry in kept:
            if saved_names([path], [entry], regex):
                kept.remove(entry)
                break
    return tuple(kept)


def _embedding(model: ModelInfo) -> str:
    if model.input_embedding is None:
        raise SpecificationError(
            "ensure_weight_tying: this model has tied weights but no known input embedding."
        )
    return model.input_embedding
