"""The value that `lorascope plan --json` prints. Schema: `schema/plan.schema.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lorascope.core.finding import Finding
from lorascope.core.fit import Fit
from lorascope.core.inventory import SCHEMA_VERSION
from lorascope.core.plan import Advice, Plan, Target
from lorascope.report.json_inventory import model_json
from lorascope.report.json_memory import memory_json, memory_summary_json, setup_json
from lorascope.report.plain_json import plain_json


def plan_json(plan: Plan, fit: Fit | None = None, max_memory: int | None = None) -> dict[str, Any]:
    """Return a plan as plain JSON values.

    Args:
        plan: The plan.
        fit: How it came to fit `max_memory`.
        max_memory: The budget in bytes; None for none.
    """
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
        "memory": None if plan.memory is None else memory_json(plan.memory),
        "fit": None if fit is None or max_memory is None else _fit(fit, max_memory),
        "advice": [_advice(advice) for advice in plan.advice],
        "findings": [_finding(finding) for finding in plan.findings],
    }


def compare_json(plans: Sequence[Plan]) -> dict[str, Any]:
    """Return plans for one model side by side. Schema: `schema/compare.schema.json`."""
    setups = [plan.memory.setup for plan in plans if plan.memory is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model_json(plans[0].model) if plans else None,
        "setup": setup_json(setups[0]) if setups else None,
        "plans": [
            {
                "preset": plan.preset,
                "targets": len(plan.targets),
                "trainable_params": plan.trainable_params,
                "covered_params": plan.covered_params,
                "adapter_bytes": plan.adapter_bytes,
                "adapter_config": plain_json(plan.adapter_config),
                "memory": None if plan.memory is None else memory_summary_json(plan.memory),
                "findings": [_finding(finding) for finding in plan.findings],
            }
            for plan in plans
        ],
    }


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


def _fit(fit: Fit, max_memory: int) -> dict[str, Any]:
    return {
        "max_memory": max_memory,
        "accumulation": fit.accumulation,
        "steps": [
            {
                "trade": step.trade,
                "before": step.before,
                "after": step.after,
                "needed_bytes": step.needed_bytes,
                "advice": _advice(step.advice),
            }
            for step in fit.steps
        ],
        "tried": [
            {
                "changes": list(tried.changes),
                "needed_bytes": tried.needed_bytes,
                "fits": tried.fits,
                "reason": tried.reason,
            }
            for tried in fit.tried
        ],
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
