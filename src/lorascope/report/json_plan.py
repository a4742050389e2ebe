"""The value that `lorascope plan --json` prints. Schema: `schema/plan.schema.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.core.plan import Advice, Finding, Plan, Target
from lorascope.report.json_inventory import model_json


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(plan.model),
        "preset": plan.preset,
        "adapter_config": plain_json(plan.adapter_config),
        "targets": [_target(target) for target in plan.targets],
        "saved_modules": list(plan.saved_modules),
        "trainable_params": plan.trainable_params,
        "covered_params": plan.covered_params,
        "adapter_bytes": plan.adapter_bytes,
        "memory": None if plan.memory is None else plain_json(plan.memory),
        "advice": [_advice(advice) for advice in plan.advice],
        "findings": [_finding(finding) for finding in plan.findings],
    }


def compare_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """Return plans for one model side by side. Schema: `schema/compare.schema.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(plans[0].model) if plans else None,
        "plans": [
            {
                "preset": plan.preset,
                "targets": len(plan.targets),
                "trainable_params": plan.trainable_params,
                "covered_params": plan.covered_params,
                "adapter_bytes": plan.adapter_bytes,
                "adapter_config": plain_json(plan.adapter_config),
                "findings": [_finding(finding) for finding in plan.findings],
            }
            for plan in plans
        ],
    }


def plain_json(value: Any) -> Any:
    """Return a value with mappings, sequences and sets turned into those of JSON."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): plain_json(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain_json(each) for each in value)
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    return value


def _target(target: Target) -> dict[str, Any]:
    return {
        "path": target.path,
        "role": str(target.role),
        "tower": str(target.tower),
        "layer": target.layer,
        "rank": target.rank,
        "alpha": target.alpha,
        "params": target.params,
    }


def _advice(advice: Advice) -> dict[str, Any]:
    return {"text": advice.text, "ground": advice.ground, "source": advice.source}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "entry": finding.entry,
        "message": finding.message,
        "hint": finding.hint,
        "paths": list(finding.paths),
    }
