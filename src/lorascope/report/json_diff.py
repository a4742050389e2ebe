"""The value that `lorascope diff --json` prints. Schema: `schema/diff.schema.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.matching.configured import Configured
from lorascope.matching.difference import Adaptation, Difference, FieldDifference
from lorascope.matching.result import SavedModule
from lorascope.report.json_inventory import model_json
from lorascope.report.plain_json import plain_json


def diff_json(found: Difference) -> dict[str, Any]:
    """Return what differs between two configurations as plain JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "is_same": found.is_same,
        "adapts_alike": found.adapts_alike,
        "trains_alike": found.trains_alike,
        "is_spelled_alike": found.is_spelled_alike,
        "a": _side(found.a),
        "b": _side(found.b),
        "only_in_a": [_adaptation(each) for each in found.only_a],
        "only_in_b": [_adaptation(each) for each in found.only_b],
        "changed": [
            {
                "path": each.a.path,
                "role": each.a.role,
                "is_parameter": each.a.is_parameter,
                "differs_in": [str(aspect) for aspect in each.aspects],
                "a": _values(each.a),
                "b": _values(each.b),
            }
            for each in found.changed
        ],
        "alike": len(found.alike),
        "saved_modules": {
            "only_in_a": _saved(found.saved_only_a),
            "only_in_b": _saved(found.saved_only_b),
        },
        "trained_tokens": [
            {"path": each.path, "a": list(each.a), "b": list(each.b)} for each in found.tokens
        ],
        "training": _fields(found.training),
        "spelling": _fields(found.spelling),
        "notes": list(found.notes),
    }


def _side(side: Configured) -> dict[str, Any]:
    return {
        "origin": side.origin,
        "model": model_json(side.inventory.model),
        "targets": len(side.match.targets),
        "trainable_params": side.match.trainable_params,
        "bias_params": side.match.bias_params,
    }


def _adaptation(each: Adaptation) -> dict[str, Any]:
    return {
        "path": each.path,
        "role": each.role,
        "is_parameter": each.is_parameter,
        **_values(each),
    }


def _values(each: Adaptation) -> dict[str, Any]:
    return {
        "rank": each.rank,
        "alpha": each.alpha,
        "scaling": each.scaling,
        "params": each.params,
        "variants": list(each.variants),
    }


def _saved(saved: Iterable[SavedModule]) -> list[dict[str, Any]]:
    return [{"path": each.path, "params": each.params} for each in saved]


def _fields(differences: Iterable[FieldDifference]) -> list[dict[str, Any]]:
    return [
        {"field": each.field, "a": plain_json(each.a), "b": plain_json(each.b)}
        for each in differences
    ]
