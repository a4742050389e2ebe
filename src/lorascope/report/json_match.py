"""The value that `lorascope match --json` prints. Schema: `schema/match.schema.json`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lorascope.core.inventory import SCHEMA_VERSION, ModelInfo
from lorascope.core.spec import LoraSpec
from lorascope.matching.result import EntryMatch, Match, MatchedTarget
from lorascope.report.json_inventory import model_json
from lorascope.report.plain_json import plain_json

MOST_EXAMPLES = 5
"""Paths listed for one entry as examples."""
_OWN_FIELDS = frozenset({"unmodelled"})
"""Fields of `LoraSpec` that PEFT does not have."""


def match_json(match: Match, model: ModelInfo) -> dict[str, Any]:
    """Return what a configuration hits in a model as plain JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(model),
        "peft_version": match.peft_version,
        "entries": [entry_json(entry) for entry in match.entries],
        "targets": [_target(target) for target in match.targets],
        "saved_modules": [
            {"path": saved.path, "entry": saved.entry, "params": saved.params}
            for saved in match.saved
        ],
        "trained_tokens": [
            {"path": trained.path, "tokens": trained.tokens, "params": trained.params}
            for trained in match.trained_tokens
        ],
        "excluded": list(match.excluded),
        "trainable_params": match.trainable_params,
        "bias_params": match.bias_params,
        "effective": spec_json(match.effective),
        "warnings": list(match.warnings),
        "refused": match.refused,
    }


def spec_json(spec: LoraSpec) -> dict[str, Any]:
    """Return a specification under PEFT's own field names."""
    return {
        field.name: plain_json(getattr(spec, field.name))
        for field in fields(spec)
        if field.name not in _OWN_FIELDS
    }


def entry_json(entry: EntryMatch) -> dict[str, Any]:
    """Return what one entry hits as plain JSON values."""
    return {
        "where": str(entry.where),
        "entry": entry.entry,
        "matched": entry.matched,
        "examples": list(entry.paths[:MOST_EXAMPLES]),
        "reason": entry.reason,
        "nearest": list(entry.nearest),
    }


def _target(target: MatchedTarget) -> dict[str, Any]:
    return {
        "path": target.path,
        "is_parameter": target.is_parameter,
        "rank": target.rank,
        "alpha": target.alpha,
        "scaling": target.scaling,
        "params": target.params,
        "entry": target.entry,
        "reason": str(target.reason),
    }
