"""The value that `lorascope adapt --json` prints. Schema: `schema/adapt.schema.json`."""

from __future__ import annotations

from typing import Any

from lorascope.core.adaptation import Adaptation, AdaptedPair, Change
from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.report.plain_json import plain_json


def adapt_json(done: Adaptation) -> dict[str, Any]:
    """Return what was done to an adapter as plain JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "adapter": done.origin,
        "engine": {"name": done.engine, "title": done.title, "version": done.version},
        "base_model": done.base_model,
        "served_model": done.served_model,
        "directory": done.directory,
        "rank": done.rank,
        "alpha": done.alpha,
        "rounding": done.rounding,
        "adapter_config": plain_json(done.adapter_config),
        "changes": [_change(change) for change in done.changes],
        "pairs": [_pair(pair) for pair in done.pairs],
        "tensors_before": done.tensors_before,
        "tensors": done.tensors,
        "bytes_before": done.bytes_before,
        "bytes": done.bytes,
        "notes": list(done.notes),
    }


def _change(change: Change) -> dict[str, Any]:
    return {"step": str(change.step), "text": change.text, "paths": list(change.paths)}


def _pair(pair: AdaptedPair) -> dict[str, Any]:
    return {
        "path": pair.path,
        "trained": list(pair.trained),
        "rank_before": pair.rank_before,
        "rank": pair.rank,
        "scales_before": list(pair.scales_before),
        "scale": pair.scale,
        "factors": list(pair.factors),
        "exact": pair.exact,
    }
